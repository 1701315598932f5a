//! `POST /1.0/instances`: what is asked for, and the operation that makes it.

use std::{collections::BTreeMap, path::Path};

use super::{
    APPLY_TEMPLATE, Config, Instances, Profiles,
    copy::Copied,
    draft::{self, Draft},
    locks::{Pair, Second},
    names,
    query::{collection, url_of},
    source::Wanted,
};
use crate::{
    access::{Caller, Scope},
    api::{
        objects::{OperationObject, Resources},
        requests::{InstanceSource, InstancesPost},
    },
    config::{self, keys},
    db::{images::ImageRow, profiles::Devices},
    error::{Context, Error, Kind, Result},
    image::{Architecture, ImageType, host_architectures},
    images::{Behalf, Lent, RemoteSource},
    operations::{Operation, Spec},
};

/// What a new instance is made from.
#[derive(Debug)]
enum From {
    /// The image that the source names, as it was when it was looked up.
    Image(Box<ImageRow>, Box<InstanceSource>),
    /// An image that is not there; the operation says so.
    NoImage,
    /// An image of another server, and on whose behalf it is fetched.
    Remote(Box<RemoteSource>, Behalf),
    Nothing,
    Copy(Box<Copied>),
}

/// A request that was looked at.
#[derive(Debug)]
struct Order {
    scope: Scope,
    draft: Draft,
    from: From,
}

impl Instances {
    /// Begins the operation that makes an instance. `of_path` is the type that a legacy path
    /// names.
    ///
    /// # Errors
    ///
    /// What LXD refuses before it makes an operation; see the order of the lines here.
    pub(crate) async fn create(
        &self,
        project: &str,
        mut body: InstancesPost,
        of_path: Option<ImageType>,
        caller: &Caller,
    ) -> Result<OperationObject> {
        let kind = match body.kind.as_str() {
            "" => Some(of_path.unwrap_or(ImageType::Container)),
            name => ImageType::from_name(name),
        };
        add_size(&mut body)?;
        if body.name.contains('/') {
            config::names::instance(&body.name)?;
        }
        let scope = self.scope(project).await?;
        let from = self.look_for_source(&scope, &body, caller).await?;
        let profiles = self.choose_profiles(&scope, &from, kind, &mut body).await?;
        if body.name.is_empty() {
            body.name = names::made_up();
        }
        config::names::instance(&body.name)?;
        let Some(kind) = kind else {
            return Err(Error::bad_request("Invalid instance type"));
        };
        let draft = draft(body, kind, profiles, &from)?;
        self.check_limits(&scope, &draft).await?;
        let order = Order { scope, draft, from };
        Ok(self.begin(order, caller))
    }

    /// Looks up whose instances a request is about.
    pub(super) async fn scope(&self, project: &str) -> Result<Scope> {
        let mut session = self.db.read().await?;
        let found = Scope::find(&mut session, project).await;
        found.context("Failed loading project")
    }

    async fn look_for_source(
        &self,
        scope: &Scope,
        body: &InstancesPost,
        caller: &Caller,
    ) -> Result<From> {
        let source = &body.source;
        match source.kind.as_str() {
            "image" => Ok(match self.wanted_image(scope, source).await? {
                Wanted::Here(row) => From::Image(row, Box::new(source.clone())),
                Wanted::Nowhere => From::NoImage,
                Wanted::Remote => self.elsewhere(scope, source, caller).await?,
            }),
            "none" => Ok(From::Nothing),
            "copy" => {
                let copied = self.copied(scope, source, caller).await?;
                Ok(From::Copy(Box::new(copied)))
            }
            "migration" => Err(no_migration(&source.mode)),
            other => Err(Error::bad_request(format!("Unknown source type {other}"))),
        }
    }

    /// The request's profiles, or else the image's, or else the source's, or else `default`.
    // LXD: a copy without profiles fails for want of a root disk.
    async fn choose_profiles(
        &self,
        scope: &Scope,
        from: &From,
        kind: Option<ImageType>,
        body: &mut InstancesPost,
    ) -> Result<Vec<String>> {
        let names = match (body.put.profiles.take(), from) {
            (Some(names), _) => names,
            (None, From::Image(row, _)) => {
                self.images.render(scope, (**row).clone()).await?.profiles
            }
            (None, From::Copy(copied)) => copied.instance.profile_names(),
            (None, From::Remote(source, behalf)) => {
                self.profiles_of_cached(scope, source, (kind, behalf))
                    .await?
            }
            (None, _) => default_profile(),
        };
        draft::check_profiles(&mut *self.db.read().await?, scope, &names).await?;
        Ok(names)
    }

    /// Where another server's image is, if this caller may have this server reach it.
    async fn elsewhere(
        &self,
        scope: &Scope,
        source: &InstanceSource,
        caller: &Caller,
    ) -> Result<From> {
        let behalf = Behalf::of(caller, scope);
        let source = RemoteSource::of_request(source);
        self.images.check_reach(&source, &behalf).await?;
        Ok(From::Remote(Box::new(source), behalf))
    }

    /// The profiles of the image that is here and will be used instead of fetching one.
    async fn profiles_of_cached(
        &self,
        scope: &Scope,
        source: &RemoteSource,
        (kind, behalf): (Option<ImageType>, &Behalf),
    ) -> Result<Vec<String>> {
        let Some(kind) = kind else {
            return Ok(default_profile());
        };
        let cached = self
            .images
            .find_cached(scope, source, (kind, behalf))
            .await?;
        Ok(cached.unwrap_or_else(default_profile))
    }

    fn begin(&self, order: Order, caller: &Caller) -> OperationObject {
        let spec = Spec {
            description: "Creating instance",
            project: Some(order.scope.project.name.clone()),
            resources: Some(resources(&order)),
            requestor: Some(caller.requestor.clone()),
            ..Spec::default()
        };
        let this = self.clone();
        self.operations.task(spec, move |operation| async move {
            this.create_now(order, &operation).await
        })
    }

    async fn create_now(&self, order: Order, operation: &Operation) -> Result<()> {
        let Order { scope, draft, from } = order;
        let project = &scope.project.name;
        let target = (project.as_str(), draft.name.as_str());
        let _locked = match &from {
            From::Copy(copied) => {
                let source = (copied.instance.project(), copied.instance.name());
                let locking = self
                    .locks
                    .hold_with(target, (source, Second::Share), "copy");
                locking.await
            }
            _ => Pair::alone(self.locks.hold(target.0, target.1, "create").await),
        };
        match from {
            From::NoImage => Err(Error::failed("Image not provided for instance creation")),
            From::Image(row, source) => {
                let lent = self.lend(&scope, *row, &source).await?;
                self.create_from(&scope, draft, lent, operation).await
            }
            From::Remote(source, behalf) => {
                self.create_remote(&scope, draft, (&source, &behalf), operation)
                    .await
            }
            From::Nothing => self.create_empty(&scope, draft).await,
            From::Copy(copied) => self.create_copy(&scope, draft, &copied).await,
        }
    }

    /// The image, its files open. The name it was asked for by may mean a newer one by now, which
    /// has taken its place.
    async fn lend(&self, scope: &Scope, row: ImageRow, source: &InstanceSource) -> Result<Lent> {
        let gone = match self.images.open(&row.fingerprint).await {
            Err(error) if error.kind() == Kind::NotFound => error,
            opened => return opened.map(|files| Lent { row, files }),
        };
        match self.wanted_image(scope, source).await? {
            Wanted::Here(newer) if newer.fingerprint != row.fingerprint => {
                let files = self.images.open(&newer.fingerprint).await?;
                Ok(Lent { row: *newer, files })
            }
            _ => Err(gone),
        }
    }

    /// Makes an instance from an image that another server has, or had.
    async fn create_remote(
        &self,
        scope: &Scope,
        draft: Draft,
        (source, behalf): (&RemoteSource, &Behalf),
        operation: &Operation,
    ) -> Result<()> {
        let lending = self
            .images
            .lend_remote(scope, source, (draft.kind, behalf), operation);
        let lent = lending.await?;
        self.create_from(scope, draft, lent, operation).await
    }

    async fn create_empty(&self, scope: &Scope, mut draft: Draft) -> Result<()> {
        note_fresh(&mut draft.config, "create");
        let instance = self.prepare(scope, draft).await?;
        let (pool, name) = self.tree(&instance).await?;
        let map = super::trees::wanted_map(instance.row.kind, &instance.config);
        let made = self
            .tasks
            .run_blocking(move || pool.create_empty(&name, map));
        self.record(scope, instance, made.await?, None).await
    }

    async fn create_from(
        &self,
        scope: &Scope,
        mut draft: Draft,
        Lent { row: image, files }: Lent,
        operation: &Operation,
    ) -> Result<()> {
        if image.kind != draft.kind.name() {
            let (has, wants) = (&image.kind, draft.kind.name());
            return Err(Error::failed(format!(
                "Requested image's type {has:?} doesn't match instance type {wants:?}"
            )));
        }
        draft.architecture.clone_from(&image.architecture);
        add_properties(&mut draft.config, &image)?;
        note_fresh(&mut draft.config, "create");
        let instance = self.prepare(scope, draft).await?;
        let made = self.unpack(&instance, (&image, files), operation).await?;
        self.record(scope, instance, made, Some(&image)).await?;
        operation.set_metadata(serde_json::Map::new());
        Ok(())
    }

    /// The instance that a draft would become, with what the daemon notes about it.
    pub(super) async fn prepare(&self, scope: &Scope, draft: Draft) -> Result<super::Instance> {
        let mut session = self.db.read().await?;
        let now = self.clock.now().into();
        self.check_support(draft.kind)
            .context("Failed creating instance record")?;
        let drafted = draft.instance(&mut session, scope, now).await;
        drop(session);
        let mut instance = drafted.context("Failed creating instance record")?;
        self.check_sources(&instance)
            .await
            .context("Failed initialising instance")
            .context("Failed creating instance record")?;
        if instance.is_container() {
            let map = super::trees::wanted_map(instance.row.kind, &instance.config);
            let config = &mut instance.row.config;
            let mut note = |key: &str, value: String| config.insert(key.to_owned(), value);
            note("volatile.idmap.base", "0".to_owned());
            note("volatile.idmap.next", super::trees::map_as_noted(map));
            note("volatile.last_state.idmap", "[]".to_owned());
        }
        Ok(instance)
    }

    /// Whether an instance of this type may be made here.
    // LXD: a host that cannot run virtual machines has none. Making and publishing them needs
    // nothing of the host, so an administrator may allow that.
    fn check_support(&self, kind: ImageType) -> Result<()> {
        let allowed = keys::value(&self.settings.current(), keys::VIRTUAL_MACHINES) == "true";
        if kind == ImageType::Container || allowed || Path::new(VSOCK).exists() {
            return Ok(());
        }
        tracing::info!(
            "virtual machines can be made here with {}",
            keys::VIRTUAL_MACHINES
        );
        Err(Error::failed(
            "Instance type \"virtual-machine\" is not supported on this server: \
             vhost_vsock kernel module not loaded",
        ))
    }
}

/// What virtual machines are talked to through.
const VSOCK: &str = "/dev/vhost-vsock";

fn default_profile() -> Vec<String> {
    vec![Profiles::DEFAULT.to_owned()]
}

/// Lays the limits that a size means under the configuration.
fn add_size(body: &mut InstancesPost) -> Result<()> {
    if body.instance_type.is_empty() {
        return Ok(());
    }
    let limits = config::instance_type::limits(&body.instance_type).map_err(Error::bad_request)?;
    let config = body.put.config.get_or_insert_default();
    for (key, value) in limits {
        config.entry(key).or_insert(value);
    }
    Ok(())
}

fn no_migration(mode: &str) -> Error {
    let text = match mode {
        "pull" | "push" => "Migration between servers is not implemented".to_owned(),
        mode => format!("Mode {mode:?} not implemented"),
    };
    Error::new(Kind::NotImplemented, text)
}

/// What the request asks for, over what a copy takes along.
fn draft(
    body: InstancesPost,
    kind: ImageType,
    profiles: Vec<String>,
    from: &From,
) -> Result<Draft> {
    let put = body.put;
    let mut config = put.config.unwrap_or_default();
    let mut devices = put.devices.unwrap_or_default();
    // A copy is of the type of its source, whatever is asked for.
    let kind = match from {
        From::Copy(copied) => copied.instance.row.kind,
        _ => kind,
    };
    let architecture = match from {
        From::Copy(copied) => {
            copied.inherit(&mut config, &mut devices);
            copied.then.row.architecture.clone()
        }
        // LXD: what is asked for counts only where nothing else says it.
        From::Nothing if !put.architecture.is_empty() => {
            Architecture::parse(&put.architecture)?.name().to_owned()
        }
        _ => host_architectures()
            .first()
            .copied()
            .unwrap_or_default()
            .to_owned(),
    };
    config.retain(|_, value| !value.is_empty());
    drop_empty(&mut devices);
    Ok(Draft {
        name: body.name,
        kind,
        architecture,
        ephemeral: put.ephemeral,
        description: put.description,
        config,
        devices,
        profiles,
    })
}

/// Options without a value are not kept.
pub(super) fn drop_empty(devices: &mut Devices) {
    for options in devices.values_mut() {
        options.retain(|_, value| !value.is_empty());
    }
}

/// The image's properties and what it was.
// LXD: over what the request says.
fn add_properties(config: &mut Config, image: &ImageRow) -> Result<()> {
    let properties: BTreeMap<String, String> = serde_json::from_str(&image.properties)
        .map_err(|error| Error::internal("Failed to read the image", error))?;
    let properties = properties.into_iter();
    config.extend(properties.map(|(key, value)| (format!("image.{key}"), value)));
    let base = image.fingerprint.to_string();
    config.insert("volatile.base_image".to_owned(), base);
    Ok(())
}

/// What makes an instance another than all others, and which templates are to be applied.
pub(super) fn note_fresh(config: &mut Config, trigger: &str) {
    let mut note = |key: &str, value: String| config.insert(key.to_owned(), value);
    note(APPLY_TEMPLATE, trigger.to_owned());
    let id = || uuid::Uuid::new_v4().to_string();
    note("volatile.cloud-init.instance-id", id());
    note("volatile.uuid", id());
}

/// What the operation is about; a copy's source too.
// LXD: a virtual machine has no URL by its type.
fn resources(order: &Order) -> Resources {
    let mut names = vec![order.draft.name.clone()];
    if let From::Copy(copied) = &order.from {
        names.push(copied.name());
    }
    let urls = |kind: &str| {
        let urls = names.iter().map(|name| url_of(kind, "default", name));
        urls.map(|url| url.replace("%2F", "/")).collect()
    };
    let mut resources = Resources::from([("instances", urls("instances"))]);
    if order.draft.kind == ImageType::Container {
        resources.insert("containers", urls(collection(ImageType::Container)));
    }
    resources
}

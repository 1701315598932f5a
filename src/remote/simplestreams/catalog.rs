//! What a server offers: its images, and what they are called.

use std::{cmp::Reverse, collections::BTreeMap};

use time::{Date, Month, Time, UtcDateTime, macros::format_description};

use super::{
    document::{Item, Product, Products, Version},
    nearest::nearest,
};
use crate::{
    api::Timestamp,
    error::{Error, Result},
    image::{Architecture, Fingerprint, FingerprintPrefix, ImageType, host_architectures},
    remote::{Asked, RemoteImage},
};

/// The types of root files, the one to be preferred first, and what they make.
// LXD: this is the order in which an alias takes them. The second names are Incus's.
const ROOTS: &[(&str, &[&str], ImageType)] = &[
    (
        "squashfs",
        &["squashfs", "root.squashfs"],
        ImageType::Container,
    ),
    ("root.tar.xz", &["root.tar.xz"], ImageType::Container),
    (
        "disk-kvm.img",
        &["disk-kvm.img", "disk.qcow2"],
        ImageType::VirtualMachine,
    ),
    ("uefi1.img", &["uefi1.img"], ImageType::VirtualMachine),
    ("disk1.img", &["disk1.img"], ImageType::VirtualMachine),
];

/// What the metadata file of a split image is called, the one to be preferred first.
const METADATA: &[&str] = &["lxd.tar.xz", "incus.tar.xz"];

/// What a unified image is called.
const UNIFIED: &[&str] = &["lxd_combined.tar.gz", "incus_combined.tar.gz"];

/// A server whose aliases all begin with `ubuntu/`.
// LXD: that part is left out there.
const UBUNTU: &str = "https://cloud-images.ubuntu.com";

/// A file of an image.
#[derive(Debug, Clone)]
pub(super) struct ListedFile {
    pub(super) path: Box<str>,
    pub(super) sha256: Option<Box<str>>,
    /// `None` when the server does not tell.
    pub(super) size_bytes: Option<u64>,
}

/// What makes a root file out of another one.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    /// The image whose root it starts from.
    pub(super) base: Fingerprint,
    pub(super) file: ListedFile,
}

/// One image.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) fingerprint: Fingerprint,
    kind: ImageType,
    root_type: &'static str,
    product: usize,
    serial: Box<str>,
    label: Box<str>,
    created_at: Timestamp,
    pub(super) metadata: ListedFile,
    pub(super) rootfs: Option<ListedFile>,
    pub(super) deltas: Vec<Delta>,
}

/// What a server offers.
#[derive(Debug)]
pub(super) struct Catalog {
    products: Vec<About>,
    entries: Vec<Entry>,
    /// For each alias, the images it may mean: the best of each type and architecture.
    aliases: BTreeMap<Box<str>, Vec<usize>>,
}

/// An image that was found, and whether by an alias.
pub(super) type FoundEntry<'a> = (&'a Entry, bool);

/// What is said of all images of a product.
#[derive(Debug)]
struct About {
    architecture: &'static str,
    arch: Box<str>,
    os: Box<str>,
    release: Box<str>,
    release_title: Box<str>,
    variant: Box<str>,
    properties: BTreeMap<String, String>,
    expires_at: Timestamp,
}

impl Catalog {
    /// Makes a catalog of the product lists of the server at `base`.
    pub(super) fn new(base: &str, lists: Vec<Products>) -> Self {
        let mut catalog = Self {
            products: Vec::new(),
            entries: Vec::new(),
            aliases: BTreeMap::new(),
        };
        let mut named = Vec::new();
        for (_, product) in lists.into_iter().flat_map(|list| list.products) {
            let Ok(architecture) = Architecture::parse(&product.arch) else {
                continue;
            };
            catalog.add_versions(&product);
            named.push(product.aliases.clone());
            catalog.products.push(About::new(product, architecture));
        }
        catalog.sort();
        catalog.register(base, &named);
        catalog
    }

    fn add_versions(&mut self, product: &Product) {
        for (serial, version) in &product.versions {
            let Some(created_at) = date_of(serial) else {
                continue;
            };
            let entries = entries_of(product, version).into_iter();
            let product = self.products.len();
            self.entries.extend(entries.map(|entry| Entry {
                product,
                serial: serial.as_str().into(),
                label: version.label.as_str().into(),
                created_at,
                ..entry
            }));
        }
    }

    fn sort(&mut self) {
        let products = &self.products;
        self.entries.sort_by_cached_key(|entry| {
            let about = products.get(entry.product);
            let about = about.map(|it| {
                (
                    it.os.clone(),
                    it.release.clone(),
                    it.variant.clone(),
                    it.architecture,
                )
            });
            let (os, release, variant, architecture) = about.unwrap_or_default();
            let preference = ROOTS.iter().position(|(name, ..)| *name == entry.root_type);
            let serial = Reverse(entry.serial.clone());
            (
                os,
                release,
                variant,
                serial,
                architecture,
                preference.unwrap_or(ROOTS.len()),
            )
        });
    }

    /// Notes what the aliases mean: of each type and architecture, the first image.
    fn register(&mut self, base: &str, named: &[String]) {
        let prefix = if base.starts_with(UBUNTU) {
            "ubuntu/"
        } else {
            ""
        };
        let mut aliases: BTreeMap<Box<str>, Vec<usize>> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let names = named.get(entry.product).map(String::as_str);
            let arch = self.products.get(entry.product).map(|about| &about.arch);
            let (Some(names), Some(arch)) = (names, arch) else {
                continue;
            };
            for name in names.split(',').filter(|name| !name.is_empty()) {
                let name = name.strip_prefix(prefix).unwrap_or(name);
                for alias in [name.to_owned(), format!("{name}/{arch}")] {
                    let meant = aliases.entry(alias.into()).or_default();
                    let is_new = meant.iter().all(|other| !self.is_like(index, *other));
                    meant.extend(is_new.then_some(index));
                }
            }
        }
        self.aliases = aliases;
    }

    /// Whether two images are of one type, for one architecture.
    fn is_like(&self, one: usize, other: usize) -> bool {
        let what = |index: usize| {
            let entry = self.entries.get(index)?;
            let about = self.products.get(entry.product)?;
            Some((entry.kind, about.architecture))
        };
        what(one) == what(other)
    }

    /// Finds an image.
    ///
    /// # Errors
    ///
    /// LXD's texts, and what the user may have meant.
    pub(super) fn find(&self, asked: &Asked) -> Result<FoundEntry<'_>> {
        if let Some(entry) = self.by_alias(asked) {
            return Ok((entry, true));
        }
        let prefix: Result<FingerprintPrefix, _> = asked.reference.parse();
        let Some(prefix) = prefix.ok().filter(|_| !asked.only_aliases) else {
            return Err(self.unknown(asked));
        };
        let mut matching: Vec<&Entry> = Vec::new();
        for entry in &self.entries {
            let matches = entry.fingerprint.as_str().starts_with(prefix.as_str());
            if matches
                && matching
                    .iter()
                    .all(|other| other.fingerprint != entry.fingerprint)
            {
                matching.push(entry);
            }
        }
        match *matching.as_slice() {
            [entry] => Ok((entry, false)),
            [] => Err(self.unknown(asked)),
            _ => Err(Error::failed(
                "Failed getting image: More than one match for the provided partial fingerprint",
            )),
        }
    }

    /// The image an alias means: for this machine's own architecture, else one it also runs, else
    /// any; a container when nothing else is asked for.
    fn by_alias(&self, asked: &Asked) -> Option<&Entry> {
        let meant = self.aliases.get(asked.reference.as_str())?;
        let meant = meant.iter().filter_map(|index| self.entries.get(*index));
        let own = host_architectures();
        let mut meant: Vec<&Entry> = meant.collect();
        meant.sort_by_key(|entry| {
            let about = self.products.get(entry.product);
            let position = own
                .iter()
                .position(|name| about.is_some_and(|it| it.architecture == *name));
            position.unwrap_or(own.len())
        });
        let kinds = match asked.kind {
            Some(kind) => vec![kind],
            None => vec![ImageType::Container, ImageType::VirtualMachine],
        };
        let mut kinds = kinds.into_iter();
        kinds.find_map(|kind| meant.iter().find(|entry| entry.kind == kind).copied())
    }

    fn unknown(&self, asked: &Asked) -> Error {
        let text = "Failed getting image: The requested image couldn't be found";
        let hint = self
            .hint(asked)
            .map(|hint| format!(" ({hint})"))
            .unwrap_or_default();
        Error::not_found(format!("{text}{hint}"))
    }

    /// What there is instead.
    fn hint(&self, asked: &Asked) -> Option<String> {
        if let Some(meant) = self.aliases.get(asked.reference.as_str()) {
            let others = meant.iter().filter_map(|index| {
                let entry = self.entries.get(*index)?;
                let about = self.products.get(entry.product)?;
                Some(format!("{} for {}", entry.kind.name(), about.architecture))
            });
            return Some(format!(
                "there is: {}",
                others.collect::<Vec<_>>().join(", ")
            ));
        }
        let names = self.aliases.keys().map(|name| &**name);
        let near = nearest(&asked.reference, names);
        (!near.is_empty()).then(|| format!("there are: {}", near.join(", ")))
    }

    /// What the server says of an image.
    pub(super) fn describe(&self, (entry, by_alias): FoundEntry<'_>) -> RemoteImage {
        let about = self.products.get(entry.product);
        let mut properties = about.map(|it| it.properties.clone()).unwrap_or_default();
        let label = match &*entry.label {
            "" => String::new(),
            label => format!(" ({label})"),
        };
        let title = about.map(|it| format!("{} {} {}", it.os, it.release_title, it.arch));
        let title = title.unwrap_or_default();
        for (key, value) in [
            ("label", entry.label.to_string()),
            ("serial", entry.serial.to_string()),
            ("description", format!("{title}{label} ({})", entry.serial)),
            ("type", entry.root_type.to_owned()),
        ] {
            properties.insert(key.to_owned(), value);
        }
        properties.retain(|_, value| !value.is_empty());
        let files = [Some(&entry.metadata), entry.rootfs.as_ref()];
        let sizes = files.into_iter().flatten().map(|file| file.size_bytes);
        RemoteImage {
            by_alias,
            fingerprint: entry.fingerprint.clone(),
            kind: entry.kind,
            architecture: about.map_or("", |it| it.architecture),
            filename: base_name(&entry.metadata.path).to_owned(),
            size_bytes: sizes.clone().flatten().fold(0, u64::saturating_add),
            size_is_known: sizes.clone().all(|size| size.is_some()),
            properties,
            created_at: entry.created_at,
            expires_at: about.map_or(Timestamp::ZERO, |it| it.expires_at),
        }
    }
}

impl About {
    fn new(product: Product, architecture: Architecture) -> Self {
        let requirements = product.requirements.iter().chain(&product.lxd_requirements);
        let mut properties: BTreeMap<_, _> = requirements
            .map(|(key, value)| (format!("requirements.{key}"), value.clone()))
            .collect();
        for (key, value) in [
            ("os", &product.os),
            ("release", &product.release),
            ("release_codename", &product.release_codename),
            ("version", &product.version),
            ("architecture", &product.arch),
            ("variant", &product.variant),
        ] {
            properties.insert(key.to_owned(), value.clone());
        }
        let format = format_description!("[year]-[month]-[day]");
        let eol = Date::parse(&product.support_eol, format)
            .ok()
            .and_then(midnight);
        Self {
            architecture: architecture.name(),
            arch: product.arch.into(),
            os: product.os.into(),
            release: product.release.into(),
            release_title: product.release_title.into(),
            variant: product.variant.into(),
            properties,
            expires_at: eol.or_else(|| Timestamp::from_unix(0)).unwrap_or_default(),
        }
    }
}

/// The images of one version.
fn entries_of(product: &Product, version: &Version) -> Vec<Entry> {
    let find = |types: &[&str]| {
        let mut items = version.items.values();
        items.find(|item| types.contains(&item.ftype.as_str()) && !item.path.is_empty())
    };
    let first = |types: &'static [&'static str]| types.iter().find_map(|name| find(&[name]));
    let mut entries = Vec::new();
    if let Some(item) = first(UNIFIED) {
        entries.extend(entry(
            &item.sha256,
            ImageType::Container,
            "tar.gz",
            item,
            None,
            Vec::new(),
        ));
    }
    let Some(metadata) = first(METADATA) else {
        return entries;
    };
    for (name, types, kind) in ROOTS {
        let Some(root) = find(types) else { continue };
        let deltas = deltas(product, version, name);
        entries.extend(entry(
            metadata.combined(name),
            *kind,
            name,
            metadata,
            Some(root),
            deltas,
        ));
    }
    entries
}

fn entry(
    fingerprint: &str,
    kind: ImageType,
    root_type: &'static str,
    metadata: &Item,
    rootfs: Option<&Item>,
    deltas: Vec<Delta>,
) -> Option<Entry> {
    Some(Entry {
        fingerprint: fingerprint.parse().ok()?,
        kind,
        root_type,
        product: 0,
        serial: Box::default(),
        label: Box::default(),
        created_at: Timestamp::ZERO,
        metadata: listed(metadata)?,
        rootfs: match rootfs {
            Some(item) => Some(listed(item)?),
            None => None,
        },
        deltas,
    })
}

fn listed(item: &Item) -> Option<ListedFile> {
    let size = u64::try_from(item.size).ok()?;
    Some(ListedFile {
        path: item.path.as_str().into(),
        sha256: (!item.sha256.is_empty()).then(|| item.sha256.to_ascii_lowercase().into()),
        size_bytes: (size > 0).then_some(size),
    })
}

/// The ways to make a version's root file out of that of an earlier version.
fn deltas(product: &Product, version: &Version, root_type: &str) -> Vec<Delta> {
    let wanted = format!("{root_type}.vcdiff");
    let items = version.items.values().filter(|item| item.ftype == wanted);
    let delta = |item: &Item| {
        let base = product.versions.get(&item.delta_base)?;
        let mut metadata = base.items.values();
        let metadata = metadata.find(|item| METADATA.contains(&item.ftype.as_str()))?;
        Some(Delta {
            base: metadata.combined(root_type).parse().ok()?,
            file: listed(item)?,
        })
    };
    items.filter_map(delta).collect()
}

/// The day that the first eight characters of a version's name are.
fn date_of(serial: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| {
        let digits = serial.get(range)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| is_number)
    };
    let month = Month::try_from(u8::try_from(number(4..6)?).ok()?).ok()?;
    let day = u8::try_from(number(6..8)?).ok()?;
    midnight(Date::from_calendar_date(i32::from(number(0..4)?), month, day).ok()?)
}

fn midnight(date: Date) -> Option<Timestamp> {
    Timestamp::from_unix(UtcDateTime::new(date, Time::MIDNIGHT).unix_timestamp())
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

//! The Unix socket.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use axum::Router;
use rustix::fs::{CWD, Gid};
use tokio::net::UnixListener;

use super::{
    accept::{MAX_CONNECTIONS, Room, rest_after},
    connection,
};
use crate::{
    error::{Context, Error, Result},
    http::peer::Peer,
    tasks::Tasks,
};

/// The group that may use the socket when nobody names another and it exists.
const DEFAULT_GROUP: &str = "lxd";

/// Binds the socket at `path`, in place of one that a daemon before left there. It gets mode and
/// group under a name of its own, so that nobody connects to it before.
pub(crate) fn bind(path: &Path, group: Option<&str>) -> Result<std::os::unix::net::UnixListener> {
    let hidden = path.with_extension("new");
    remove(&hidden)?;
    let listener = std::os::unix::net::UnixListener::bind(&hidden)
        .context(format_args!("Failed to listen on {}", path.display()))?;
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o660))?;
    if let Some(gid) = group_id(group)? {
        rustix::fs::chown(&hidden, None, Some(gid))
            .map_err(std::io::Error::from)
            .context(format_args!(
                "Failed to give {} to its group",
                path.display()
            ))?;
    }
    // A socket is no image file: nothing is lost when this rename is not durable.
    rustix::fs::renameat(CWD, &hidden, CWD, path)
        .map_err(std::io::Error::from)
        .context(format_args!("Failed to listen on {}", path.display()))?;
    Ok(listener)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format_args!("Failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The number of the group, or of the default one if there is such a group.
fn group_id(group: Option<&str>) -> Result<Option<Gid>> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let find = |name: &str| {
        groups.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then(|| fields.nth(1)?.parse().ok().map(Gid::from_raw))?
        })
    };
    match group {
        None => Ok(find(DEFAULT_GROUP)),
        Some(name) => match find(name) {
            Some(gid) => Ok(Some(gid)),
            None => Err(Error::failed(format!("There is no group {name:?}"))),
        },
    }
}

/// Accepts connections until the daemon stops.
pub(crate) async fn serve_unix(listener: UnixListener, router: Router, tasks: Tasks) {
    let room = Room::new(MAX_CONNECTIONS);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tasks.stopping().cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                rest_after(&error).await;
                continue;
            }
        };
        let Some(permit) = room.enter().await else {
            return;
        };
        let (peer, router, its_tasks) = (Peer::of_unix(&stream), router.clone(), tasks.clone());
        tasks.spawn("unix connection", async move {
            connection::serve(stream, peer, router, its_tasks).await;
            drop(permit);
        });
    }
}

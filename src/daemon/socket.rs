//! Making the Unix socket.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
};

use rustix::fs::Gid;

use crate::error::{Context, Error, Result};

/// The group that may use the socket when nobody names another and it exists.
const DEFAULT_GROUP: &str = "lxd";

/// Binds the socket at `path`, in place of one that a daemon before left there. The directory is
/// locked and the umask keeps others out until the socket has its group and mode.
pub(super) fn bind(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context(format_args!("Failed to remove {}", path.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(path).context(format_args!("Failed to listen on {}", path.display()))?;
    if let Some(gid) = group_id(group)? {
        rustix::fs::chown(path, None, Some(gid))
            .map_err(std::io::Error::from)
            .context(format_args!(
                "Failed to give {} to its group",
                path.display()
            ))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_takes_the_place_of_a_stale_one_and_has_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unix.socket");
        drop(bind(&path, None).unwrap());
        let _listener = bind(&path, None).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o660
        );
    }

    #[test]
    fn a_group_that_is_not_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = bind(&dir.path().join("s"), Some("no such group")).unwrap_err();
        assert_eq!(error.message(), "There is no group \"no such group\"");
    }
}

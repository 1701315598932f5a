//! What the server is and runs on.

use crate::http::Facts;

/// Finds out what `GET /1.0` tells about the machine.
pub(super) fn find_out() -> Facts {
    let system = rustix::system::uname();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    Facts {
        kernel: system.sysname().to_string_lossy().into_owned(),
        kernel_architecture: system.machine().to_string_lossy().into_owned(),
        kernel_version: system.release().to_string_lossy().into_owned(),
        os_name: field(&release, "NAME"),
        os_version: field(&release, "VERSION_ID"),
        server_name: system.nodename().to_string_lossy().into_owned(),
    }
}

/// A field of `/etc/os-release`, without its quotes.
fn field(release: &str, name: &str) -> String {
    let fields = release.lines().filter_map(|line| line.split_once('='));
    let value = fields
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .next();
    value
        .unwrap_or_default()
        .trim_matches(['"', '\''])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_of_os_release_lose_their_quotes() {
        let release = "PRETTY_NAME=\"Debian 12\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\n";
        assert_eq!(field(release, "NAME"), "Debian GNU/Linux");
        assert_eq!(field(release, "VERSION_ID"), "12");
        assert_eq!(field(release, "ID"), "");
    }
}

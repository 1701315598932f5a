//! Who is at the other end of a connection; put into the extensions of each of its requests.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::UnixStream;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// A process on this machine, by the socket's own word.
    Unix {
        /// The name of its user, or `uid=N`.
        username: String,
    },
    /// Somebody over the network.
    Tls {
        /// Where from.
        address: SocketAddr,
        /// The client certificate (DER) it proved to hold.
        certificate: Option<Arc<[u8]>>,
    },
}

impl Peer {
    /// The process behind a Unix connection.
    pub(crate) fn of_unix(stream: &UnixStream) -> Self {
        // A peer that the kernel cannot name is named as nobody in particular.
        let username = match stream.peer_cred() {
            Ok(credentials) => username(credentials.uid()),
            Err(_) => String::new(),
        };
        Self::Unix { username }
    }
}

// LXD: the name in the user database, else `uid=N`.
fn username(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&passwd, uid).unwrap_or_else(|| format!("uid={uid}"))
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    let wanted = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == wanted).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::name_in;

    #[test]
    fn a_uid_is_looked_up_in_the_user_database() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(name_in(passwd, 100), None);
    }
}

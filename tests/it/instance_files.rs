//! Files that are pushed into instances, pulled out of them and deleted there; links that lead
//! nowhere else.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

use serde_json::json;

use crate::support::{
    Client, Lximaged, Request, beyond_lxd,
    http::Answer,
    images,
    tar::{Kind, Tar},
};

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

/// An image with links that an attacker would put there.
fn image() -> Vec<u8> {
    Tar::new()
        .file("metadata.yaml", images::metadata("files"))
        .directory("rootfs/")
        .directory("rootfs/etc/")
        .file("rootfs/etc/hostname", "inside\n")
        .special(Kind::SymbolicLink, "rootfs/absolute", "/etc/hostname")
        .special(Kind::SymbolicLink, "rootfs/host", "/")
        .special(Kind::SymbolicLink, "rootfs/up", "../../../../../../../..")
        .special(Kind::Fifo, "rootfs/fifo", "")
        .build()
}

/// A daemon with the container `c1`.
fn started() -> Lximaged {
    let daemon = Lximaged::start();
    daemon.init("c1", &daemon.import(&image()));
    daemon
}

fn at(path: &str) -> String {
    format!("/1.0/instances/c1/files?path={path}")
}

/// What pushes and pulls come to.
impl Client {
    fn pull(&self, path: &str) -> Answer {
        self.get(&format!("/1.0/instances/c1/files?path={path}"))
    }

    fn push(&self, path: &str, text: &str, headers: &[(&str, &str)]) -> Answer {
        let request = Request::new("POST", &at(path)).headers(&[OCTETS]);
        self.send(&request.headers(headers).body(text))
    }
}

#[test]
fn a_file_comes_back_as_it_was_pushed() {
    let daemon = started();
    let owner = [
        ("X-LXD-uid", "5"),
        ("X-LXD-gid", "6"),
        ("X-LXD-mode", "0640"),
    ];
    daemon.push("/etc/new", "text\n", &owner).is_done();
    let answer = daemon.pull("/etc/new");
    assert_eq!((answer.status, answer.text().as_str()), (200, "text\n"));
    for (name, value) in [
        ("x-lxd-uid", "5"),
        ("x-lxd-gid", "6"),
        ("x-lxd-mode", "0640"),
        ("x-lxd-type", "file"),
        ("content-disposition", "inline;filename=new"),
        ("content-type", "application/octet-stream"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let modified = answer.header("x-lxd-modified").unwrap();
    assert!(
        modified.ends_with(" +0000 UTC") && modified.starts_with("20"),
        "{modified}"
    );

    let ranged = Request::new("GET", &at("etc/new")).header("Range", "bytes=1-2");
    let answer = daemon.send(&ranged);
    assert_eq!((answer.status, answer.text().as_str()), (206, "ex"));
    let answer = daemon.send(&Request::new(
        "HEAD",
        "/1.0/instances/c1/files?path=etc/new",
    ));
    assert_eq!(
        (answer.status, answer.header("x-lxd-uid")),
        (200, Some("5"))
    );
    assert_eq!(answer.text(), "");
}

#[test]
fn a_file_that_exists_keeps_its_owner_and_is_replaced_or_grows() {
    let daemon = started();
    daemon
        .push("/f", "one", &[("X-LXD-uid", "5"), ("X-LXD-mode", "0600")])
        .is_done();
    daemon
        .push("/f", "2", &[("X-LXD-uid", "7"), ("X-LXD-mode", "0644")])
        .is_done();
    daemon
        .push("/f", "3", &[("X-LXD-write", "append")])
        .is_done();
    let answer = daemon.pull("/f");
    assert_eq!(answer.text(), "23");
    assert_eq!(answer.header("x-lxd-uid"), Some("5"));
    assert_eq!(answer.header("x-lxd-mode"), Some("0600"));
    let missing = daemon.push("/no", "3", &[("X-LXD-write", "append")]);
    missing.is_error(404, "Not Found");
}

#[test]
fn directories_and_links_are_made_listed_and_deleted() {
    let daemon = started();
    let directory = [("X-LXD-type", "directory"), ("X-LXD-mode", "0700")];
    daemon.push("/d", "", &directory).is_done();
    daemon
        .push("/d", "", &[("X-LXD-type", "directory")])
        .is_done();
    daemon
        .push("/d/l", "/etc/hostname", &[("X-LXD-type", "symlink")])
        .is_done();
    daemon.push("/d/f", "", &[]).is_done();
    let answer = daemon.pull("/d");
    assert_eq!(answer.metadata(), &json!(["f", "l"]));
    assert_eq!(answer.header("x-lxd-type"), Some("directory"));
    assert_eq!(answer.header("x-lxd-mode"), Some("0700"));
    let answer = daemon.pull("/d/l");
    assert_eq!(answer.header("x-lxd-type"), Some("symlink"));
    assert_eq!(answer.text(), "/etc/hostname");

    let busy = "sftp: \"remove /d: directory not empty\" (SSH_FX_FAILURE)";
    daemon
        .delete("/1.0/instances/c1/files?path=/d")
        .is_error(500, busy);
    for path in ["/d/f", "/d/l", "/d"] {
        daemon.delete(&at(path)).is_done();
        daemon.pull(path).is_error(404, "Not Found");
    }
}

#[test]
fn what_is_asked_wrongly_is_refused_in_lxds_words() {
    let daemon = started();
    daemon
        .get("/1.0/instances/c1/files")
        .is_error(400, "Missing path argument");
    daemon.pull("").is_error(400, "Missing path argument");
    daemon
        .get("/1.0/instances/no/files?path=/x")
        .is_error(404, "Instance not found");
    let bad = daemon.push("/x", "", &[("X-LXD-type", "bogus")]);
    bad.is_error(400, "Bad file type: bogus");
    let bad = daemon.push("/x", "", &[("X-LXD-write", "bogus")]);
    bad.is_error(400, "Bad file write mode: bogus");
    let directory = "sftp: \"open /etc: is a directory\" (SSH_FX_FAILURE)";
    daemon.push("/etc", "x", &[]).is_error(500, directory);
    daemon.push("/no/x", "x", &[]).is_error(404, "Not Found");
    let there = "sftp: \"symlink /x /etc: file exists\" (SSH_FX_FAILURE)";
    daemon
        .push("/etc", "/x", &[("X-LXD-type", "symlink")])
        .is_error(500, there);
    daemon.pull("/x").is_error(404, "Not Found");
}

#[test]
fn planted_links_lead_nowhere_else() {
    if !beyond_lxd("it waits for a fifo's other end for ever") {
        return;
    }
    let daemon = started();
    let sentinel = daemon.home().join("sentinel");
    fs::write(&sentinel, "untouched").unwrap();
    let outside = sentinel.to_str().unwrap();
    for way in ["host", "up", "..", "host/up/.."] {
        let path = format!("{way}{outside}");
        daemon.pull(&path).is_error(404, "Not Found");
        daemon
            .push(&path, "escaped", &[])
            .is_error(404, "Not Found");
        daemon.delete(&at(&path)).is_error(404, "Not Found");
        let inside = daemon.pull(&format!("{way}/etc/hostname"));
        assert_eq!(inside.text(), "inside\n", "{way}");
    }
    daemon.push("absolute", "through\n", &[]).is_done();
    assert_eq!(daemon.pull("etc/hostname").text(), "through\n");
    for refused in [daemon.pull("fifo"), daemon.push("fifo", "x", &[])] {
        let text = "sftp: \"open fifo: invalid argument\" (SSH_FX_FAILURE)";
        refused.is_error(500, text);
    }
    daemon.pull("etc/hostname%00x").is_error(
        500,
        "sftp: \"lstat etc/hostname\\0x: invalid argument\" (SSH_FX_FAILURE)",
    );
    assert_eq!(fs::read_to_string(&sentinel).unwrap(), "untouched");
}

/// Where the container's own files are.
fn upper(daemon: &Lximaged) -> PathBuf {
    daemon
        .dir()
        .join("storage-pools/default/containers/c1/upper")
}

#[test]
fn files_on_the_disk_belong_to_the_containers_ids() {
    if !beyond_lxd("it has no overlays") {
        return;
    }
    let daemon = started();
    daemon.push("/f", "x", &[("X-LXD-uid", "5")]).is_done();
    let root = fs::metadata(upper(&daemon)).unwrap().uid();
    let found = fs::metadata(upper(&daemon).join("f")).unwrap();
    assert!(
        root > 0,
        "the root of an unprivileged container is nobody on the host"
    );
    assert_eq!((found.uid(), found.gid()), (root + 5, root));
    let no_such = "The instance has no id 4294967294";
    let answer = daemon.push("/g", "x", &[("X-LXD-uid", "4294967294")]);
    answer.is_error(400, no_such);
}

#[test]
fn nothing_stays_mounted_and_a_killed_daemon_loses_nothing() {
    let mut daemon = started();
    daemon.push("/f", "kept", &[]).is_done();
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", daemon.pid())).unwrap();
    let dir = daemon.dir();
    let own = mounts
        .lines()
        .filter(|line| line.contains(dir.to_str().unwrap()));
    assert_eq!(own.count(), 0, "{mounts}");
    daemon.kill9();
    daemon.boot();
    assert_eq!(daemon.pull("/f").text(), "kept");
}

#[test]
fn the_client_pushes_and_pulls_trees() {
    let daemon = started();
    let tree = daemon.home().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/file"), "text").unwrap();
    std::os::unix::fs::symlink("file", tree.join("a/b/link")).unwrap();
    let tree = tree.to_str().unwrap();
    daemon.lxc(&["file", "push", "-r", "-p", tree, "c1/srv/deep/"]);
    let out = daemon.home().join("out");
    fs::create_dir(&out).unwrap();
    daemon.lxc(&[
        "file",
        "pull",
        "-r",
        "c1/srv/deep/tree",
        out.to_str().unwrap(),
    ]);
    assert_eq!(
        fs::read_to_string(out.join("tree/a/b/file")).unwrap(),
        "text"
    );
    let link = fs::read_link(out.join("tree/a/b/link")).unwrap();
    assert_eq!(link, PathBuf::from("file"));
    daemon.lxc(&["file", "delete", "c1/srv/deep/tree/a/b/file"]);
    daemon.lxc_fails(&["file", "pull", "c1/srv/deep/tree/a/b/file", "-"]);
}

#[test]
fn virtual_machines_have_no_files_without_an_agent() {
    let daemon = Lximaged::start();
    daemon.succeeds(&daemon.post(
        "/1.0/instances",
        &json!({"name": "c1", "type": "virtual-machine", "source": {"type": "none"}}),
    ));
    let answer = daemon.pull("/x");
    assert!(answer.status >= 400, "{}", answer.text());
}

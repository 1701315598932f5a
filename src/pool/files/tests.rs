//! Names that are planted, and what they must not lead to.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use super::{Content, Owner, Root, Write};
use crate::{
    error::{Error, Kind, Result},
    image::ImageType,
    pool::{Mounted, Pool, TreeName, idmap::IdMap, staging},
};

/// A root directory, and a file outside of it that nobody may touch.
struct Jail {
    home: TempDir,
    root: Root,
}

impl Jail {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("root/etc")).unwrap();
        fs::write(home.path().join("sentinel"), "untouched").unwrap();
        let directory = staging::open(&home.path().join("root")).unwrap();
        let map = IdMap::new(100_000, 65_536).unwrap();
        let root = Root::of(Mounted::directory(directory, map));
        Self { home, root }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.home.path().join("root").join(inside)
    }

    fn sentinel(&self) -> String {
        fs::read_to_string(self.home.path().join("sentinel")).unwrap()
    }

    /// Plants a link.
    fn link(&self, target: &str, name: &str) {
        symlink(target, self.path(name)).unwrap();
    }

    fn put(&self, path: &str, text: &str, owner: Owner) -> Result<()> {
        let mut file = self.root.write(path, owner, Write::Overwrite)?;
        Ok(file.write_all(text.as_bytes())?)
    }

    fn text(&self, path: &str) -> String {
        match self.root.read(path).unwrap().1 {
            Content::File(file) => std::io::read_to_string(file).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        assert_eq!(self.sentinel(), "untouched");
    }
}

fn owner(uid: u32, gid: u32, mode: u32) -> Owner {
    Owner {
        uid: Some(uid),
        gid: Some(gid),
        mode: Some(mode),
    }
}

#[test]
fn files_have_the_containers_owners() {
    let jail = Jail::new();
    jail.put("/etc/x", "1", owner(5, 6, 0o4750)).unwrap();
    let found = fs::metadata(jail.path("etc/x")).unwrap();
    assert_eq!((found.uid(), found.gid()), (100_005, 100_006));
    let (attributes, _) = jail.root.read("etc/x").unwrap();
    let seen = (attributes.uid, attributes.gid, attributes.mode);
    assert_eq!(seen, (5, 6, 0o4750));

    jail.put("etc/x", "22", owner(7, 7, 0o600)).unwrap();
    assert_eq!(jail.text("/etc/x"), "22");
    assert_eq!(jail.root.look("etc/x").unwrap().uid, 5);
    let mut file = jail
        .root
        .write("etc/x", Owner::default(), Write::Append)
        .unwrap();
    file.write_all(b"3").unwrap();
    assert_eq!(jail.text("/etc/x"), "223");

    jail.put("plain", "", Owner::default()).unwrap();
    let found = fs::metadata(jail.path("plain")).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (100_000, 0o644));
    let said = jail.put("x", "", owner(70_000, 0, 0o600)).unwrap_err();
    assert_eq!(said.message(), "The instance has no id 70000");
    assert!(!jail.path("x").exists());
    // Something that came from elsewhere.
    std::os::unix::fs::chown(jail.path("plain"), Some(0), Some(3)).unwrap();
    assert_eq!(jail.root.look("plain").unwrap().uid, 65534);
}

#[test]
fn links_end_inside() {
    let jail = Jail::new();
    fs::write(jail.path("etc/passwd"), "inside").unwrap();
    jail.link("/etc", "absolute");
    jail.link("../../../../etc", "upwards");
    jail.link("/etc/passwd", "file");
    for path in ["absolute/passwd", "upwards/passwd", "../../etc/passwd"] {
        assert_eq!(jail.text(path), "inside", "{path}");
    }
    let Content::Symlink(target) = jail.root.read("file").unwrap().1 else {
        panic!("a link is shown as one");
    };
    assert_eq!(target, "/etc/passwd");
    jail.put("file", "written", Owner::default()).unwrap();
    assert_eq!(
        fs::read_to_string(jail.path("etc/passwd")).unwrap(),
        "written"
    );
    jail.link("/etc/new", "dangling");
    jail.put("dangling", "new", Owner::default()).unwrap();
    assert_eq!(fs::read_to_string(jail.path("etc/new")).unwrap(), "new");
    let sentinel = jail.home.path().join("sentinel");
    jail.link(sentinel.to_str().unwrap(), "out");
    jail.link("../sentinel", "up");
    for path in ["out", "up"] {
        let said = jail
            .root
            .write(path, Owner::default(), Write::Append)
            .unwrap_err();
        assert_eq!(said.kind(), Kind::NotFound, "{path}");
        jail.root.delete(path).unwrap();
    }
    jail.link("/proc/self/root", "magic");
    assert!(jail.root.read("magic/etc/passwd").is_err());
}

#[test]
fn only_regular_files_are_opened() {
    let jail = Jail::new();
    let make = |name: &str, kind, device| {
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, jail.path(name), kind, mode, device).unwrap();
    };
    make("fifo", FileType::Fifo, 0);
    make("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    make("socket", FileType::Socket, 0);
    for path in ["fifo", "null", "socket"] {
        let text = format!("sftp: \"open {path}: invalid argument\" (SSH_FX_FAILURE)");
        assert_eq!(jail.root.read(path).unwrap_err().message(), text);
        assert_eq!(
            jail.put(path, "x", Owner::default()).unwrap_err().message(),
            text
        );
        let said = jail
            .root
            .write_template(path, false, || Ok("x"))
            .unwrap_err();
        let text = format!("Failed to create template file: open {path}: invalid argument");
        assert_eq!(said.message(), text);
        jail.root.delete(path).unwrap();
    }
}

#[test]
fn lxds_words_for_what_goes_wrong() {
    let jail = Jail::new();
    jail.put("file", "x", Owner::default()).unwrap();
    let sftp = |text: &str| format!("sftp: {text:?} (SSH_FX_FAILURE)");
    let put = |path| jail.put(path, "x", Owner::default()).unwrap_err();
    assert_eq!(put("/etc").message(), sftp("open /etc: is a directory"));
    assert_eq!(put("/").message(), sftp("open /: is a directory"));
    assert_eq!(put("no/x").message(), "Not Found");
    let read = |path| jail.root.read(path).unwrap_err();
    assert_eq!(
        (read("no").kind(), read("no").message()),
        (Kind::NotFound, "Not Found")
    );
    assert_eq!(read("file/x").message(), "Not Found");
    let delete = |path| jail.root.delete(path).unwrap_err();
    assert_eq!(delete("no").message(), "Not Found");
    assert_eq!(
        delete("/").message(),
        sftp("remove /: device or resource busy")
    );
    assert_eq!(
        delete("/file/x").message(),
        sftp("remove /file/x: not a directory")
    );
    fs::create_dir(jail.path("etc/d")).unwrap();
    assert_eq!(
        delete("/etc").message(),
        sftp("remove /etc: directory not empty")
    );
    let link = |path| jail.root.make_symlink(path, "/x").unwrap_err();
    assert_eq!(
        link("/file").message(),
        sftp("symlink /x /file: file exists")
    );
    assert_eq!(link("no/x").message(), "Not Found");
    let append = jail.root.write("no", Owner::default(), Write::Append);
    assert_eq!(append.unwrap_err().message(), "Not Found");
}

#[test]
fn directories_are_made_listed_and_removed() {
    let jail = Jail::new();
    jail.root.make_directory("/d", owner(3, 4, 0o700)).unwrap();
    jail.root.make_directory("d", owner(9, 9, 0o777)).unwrap();
    jail.root.make_directory("/", Owner::default()).unwrap();
    let found = fs::metadata(jail.path("d")).unwrap();
    let seen = (
        found.uid(),
        found.gid(),
        found.permissions().mode() & 0o7777,
    );
    assert_eq!(seen, (100_003, 100_004, 0o700));
    assert!(jail.root.make_directory("x/y", Owner::default()).is_err());
    jail.put("d/b", "", Owner::default()).unwrap();
    jail.root.make_symlink("d/a", "b").unwrap();
    let Content::Directory(names) = jail.root.read("d/").unwrap().1 else {
        panic!("a directory is listed");
    };
    assert_eq!(names, ["a", "b"]);
    for path in ["d/a", "d/b", "d/"] {
        jail.root.delete(path).unwrap();
    }
    assert!(!jail.path("d").exists());
}

const OUTSIDE: &str = "Template is attempting access to path outside of container";

#[test]
fn templates_are_written_where_lxd_writes_them() {
    let jail = Jail::new();
    let write = |path: &str, create_only, text: &str| {
        jail.root
            .write_template(path, create_only, || Ok(text.to_owned()))
    };
    write("//a/b/c", true, "1").unwrap();
    let found = fs::metadata(jail.path("a/b/c")).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (100_000, 0o644));
    let found = fs::metadata(jail.path("a/b")).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (100_000, 0o755));

    std::os::unix::fs::chown(jail.path("a/b/c"), Some(100_005), Some(100_006)).unwrap();
    fs::set_permissions(jail.path("a/b/c"), fs::Permissions::from_mode(0o4711)).unwrap();
    let never = || Err::<&str, _>(Error::failed("rendered"));
    jail.root.write_template("a/b/c", true, never).unwrap();
    write("a/b/c", false, "").unwrap();
    let found = fs::metadata(jail.path("a/b/c")).unwrap();
    assert_eq!(
        (found.uid(), found.gid(), found.len()),
        (100_005, 100_006, 0)
    );
    jail.link("b/c", "a/link");
    write("a/link", false, "through").unwrap();
    assert_eq!(jail.text("a/b/c"), "through");

    let said = write("/etc", false, "x").unwrap_err();
    assert_eq!(
        said.message(),
        "Failed to create template file: open /etc: is a directory"
    );
    let said = jail.root.write_template("new/x", false, never).unwrap_err();
    assert_eq!(said.message(), "rendered");
    assert!(!jail.path("new").exists());
}

#[test]
fn templates_never_lead_out() {
    let jail = Jail::new();
    let sentinel = jail.home.path().join("sentinel");
    jail.link("/", "root");
    jail.link(sentinel.to_str().unwrap(), "absolute");
    jail.link("/nowhere", "dangling");
    jail.link("../..", "etc/up");
    let long = "x/".repeat(2500);
    let paths = [
        "",
        "/",
        "../sentinel",
        "/../../../sentinel",
        "etc/../../sentinel",
        "root/x",
        "root/../x",
        "absolute",
        "dangling",
        "etc/up/sentinel",
        "a\0b",
        &long,
    ];
    for path in paths {
        for create_only in [true, false] {
            let never = || Ok("escaped".to_owned());
            let said = jail
                .root
                .write_template(path, create_only, never)
                .unwrap_err();
            assert_eq!(said.message(), OUTSIDE, "{path:?}");
        }
    }
    assert_eq!(fs::read_dir(jail.home.path()).unwrap().count(), 2);
}

/// Somebody swaps a directory for a link again and again while files are read, written and removed
/// in it.
#[test]
fn a_racing_owner_leads_nobody_out() {
    let jail = Jail::new();
    let outside = jail.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "untouched").unwrap();
    fs::create_dir(jail.path("dir")).unwrap();
    jail.link("../outside", "evil");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            while !over.load(Ordering::Relaxed) {
                let (dir, evil) = (jail.path("dir"), jail.path("evil"));
                rustix::fs::renameat_with(CWD, &dir, CWD, &evil, flags).unwrap();
            }
        });
        for round in 0..3000 {
            let name = format!("dir/{}", round % 7);
            drop(jail.put(&name, "x", Owner::default()));
            drop(jail.root.write_template(&name, false, || Ok("y")));
            drop(jail.root.make_directory("dir/sub", Owner::default()));
            drop(jail.root.delete(&name));
            drop(jail.put("dir/file", "escaped", Owner::default()));
            drop(jail.root.delete("dir/file"));
        }
        over.store(true, Ordering::Relaxed);
    });
    let names: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["file"]);
    assert_eq!(
        fs::read_to_string(outside.join("file")).unwrap(),
        "untouched"
    );
}

/// An instance without an image.
fn instance() -> (TempDir, Pool, TreeName, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("pool");
    fs::create_dir(&source).unwrap();
    let pool = Pool::open(home.path(), &source).unwrap();
    let name = TreeName::instance(ImageType::Container, "default", "c1").unwrap();
    let made = pool.create_empty(&name, IdMap::IDENTITY).unwrap();
    made.finish().unwrap();
    let tree = source.join("containers/c1");
    (home, pool, name, tree)
}

#[test]
fn metadata_is_replaced_as_a_whole() {
    let (_home, pool, name, tree) = instance();
    assert_eq!(pool.metadata(&name).unwrap(), None);
    pool.replace_metadata(&name, "a: 1\n").unwrap();
    pool.replace_metadata(&name, "a: 2\n").unwrap();
    assert_eq!(pool.metadata(&name).unwrap().unwrap(), "a: 2\n");
    let large = "x".repeat(1024 * 1024);
    pool.replace_metadata(&name, &large).unwrap();
    let said = pool
        .replace_metadata(&name, &format!("{large}x"))
        .unwrap_err();
    assert_eq!(said.message(), "metadata.yaml is larger than 1048576 bytes");
    fs::write(tree.join("metadata.yaml"), format!("{large}x")).unwrap();
    assert!(pool.metadata(&name).is_err());
}

#[test]
fn metadata_and_templates_that_are_links_are_refused() {
    let (home, pool, name, tree) = instance();
    let sentinel = home.path().join("sentinel");
    fs::write(&sentinel, "a: untouched").unwrap();
    symlink(&sentinel, tree.join("metadata.yaml")).unwrap();
    symlink(home.path(), tree.join("templates")).unwrap();
    let said = pool.metadata(&name).unwrap_err();
    assert_eq!(said.message(), "Cannot read non-regular file");
    let templates = pool.templates(&name).unwrap();
    let refused = "The template directory is none";
    assert_eq!(templates.list().unwrap_err().message(), refused);
    assert_eq!(templates.open("sentinel").unwrap_err().message(), refused);
    assert_eq!(templates.source("sentinel").unwrap_err().message(), refused);
    assert_eq!(
        templates.write("sentinel", b"x").unwrap_err().message(),
        refused
    );
    assert_eq!(templates.delete("sentinel").unwrap_err().message(), refused);
    assert_eq!(fs::read_to_string(&sentinel).unwrap(), "a: untouched");
    pool.replace_metadata(&name, "new").unwrap();
    assert_eq!(fs::read_to_string(&sentinel).unwrap(), "a: untouched");
}

#[test]
fn templates_are_files_in_one_directory() {
    let (home, pool, name, tree) = instance();
    let templates = pool.templates(&name).unwrap();
    assert_eq!(templates.list().unwrap(), [""; 0]);
    assert_eq!(
        templates.open("a").unwrap_err().message(),
        "Template \"a\" not found"
    );
    templates.write("b.tpl", b"1").unwrap();
    templates.write("a.tpl", b"2").unwrap();
    templates.write("b.tpl", b"3").unwrap();
    assert_eq!(templates.list().unwrap(), ["a.tpl", "b.tpl"]);
    assert_eq!(templates.source("b.tpl").unwrap(), b"3");
    let mode = fs::metadata(tree.join("templates/b.tpl")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o644);
    templates.delete("b.tpl").unwrap();
    let said = templates.delete("b.tpl").unwrap_err();
    assert_eq!(
        (said.kind(), said.message()),
        (Kind::NotFound, "Template \"b.tpl\" not found")
    );
    for bad in ["", ".", "..", "a/b", "../x", "a\0b"] {
        let said = templates.write(bad, b"").unwrap_err();
        assert_eq!(said.message(), "Invalid template filename", "{bad:?}");
    }
    let sentinel = home.path().join("sentinel");
    fs::write(&sentinel, "untouched").unwrap();
    symlink(&sentinel, tree.join("templates/link")).unwrap();
    assert!(templates.open("link").is_err());
    assert_eq!(
        templates.source("link").unwrap_err().message(),
        "Template file is a symlink"
    );
    let outside = "Template path is attempting to read outside of template directory";
    assert_eq!(
        templates.source("../sentinel").unwrap_err().message(),
        outside
    );
    let missing = "Could not access template file: lstat no: no such file or directory";
    assert_eq!(templates.source("no").unwrap_err().message(), missing);
    templates.write("link", b"new").unwrap();
    assert_eq!(fs::read_to_string(&sentinel).unwrap(), "untouched");
}

//! Instances through the real client.

use crate::support::{Lximaged, images};

fn with_image() -> Lximaged {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.alias("a", &found);
    daemon
}

#[test]
fn the_client_makes_lists_shows_and_deletes_instances() {
    let daemon = with_image();
    daemon.lxc(&["init", "a", "c1", "-c", "user.a=b", "--ephemeral"]);
    daemon.lxc(&["init", "--empty", "c2"]);
    let listed = daemon.lxc(&["list", "-f", "csv", "-c", "nst"]);
    assert_eq!(
        listed,
        "c1,STOPPED,CONTAINER (EPHEMERAL)\nc2,STOPPED,CONTAINER\n"
    );
    assert_eq!(daemon.lxc(&["list", "c2", "-f", "csv", "-c", "n"]), "c2\n");
    let shown = daemon.lxc(&["config", "show", "c1"]);
    assert!(shown.contains("user.a: b"), "{shown}");
    daemon.lxc(&["config", "set", "c1", "user.a=c", "limits.cpu=1"]);
    assert_eq!(daemon.lxc(&["config", "get", "c1", "user.a"]), "c\n");
    daemon.lxc(&["config", "device", "add", "c1", "d", "none"]);
    daemon.lxc(&["profile", "create", "web"]);
    daemon.lxc(&["profile", "add", "c1", "web"]);
    daemon.lxc(&["delete", "c1", "c2"]);
    assert_eq!(daemon.lxc(&["list", "-f", "csv"]), "");
}

#[test]
fn the_client_copies_moves_and_snapshots_instances() {
    let daemon = with_image();
    daemon.lxc(&["init", "a", "c1"]);
    daemon.lxc(&["snapshot", "c1", "s1"]);
    daemon.lxc(&["snapshot", "c1"]);
    daemon.lxc(&["copy", "c1", "c2"]);
    daemon.lxc(&["copy", "c1/s1", "c3"]);
    daemon.lxc(&["copy", "c1", "c2", "--refresh"]);
    daemon.lxc(&["move", "c3", "c4"]);
    daemon.lxc(&["move", "c1/s1", "c1/s2"]);
    daemon.lxc(&["restore", "c1", "s2"]);
    daemon.lxc(&["delete", "c1/s2"]);
    let listed = daemon.lxc(&["list", "-f", "csv", "-c", "nS"]);
    assert_eq!(listed, "c1,1\nc2,2\nc4,0\n");
    daemon.lxc(&["project", "create", "p", "-c", "features.profiles=false"]);
    daemon.lxc(&["move", "c4", "--target-project", "p"]);
    daemon.lxc(&["copy", "c2", "c2", "--target-project", "p"]);
    daemon.lxc(&["storage", "create", "second", "dir"]);
    daemon.lxc(&["move", "c2", "c5", "-s", "second"]);
    let listed = daemon.lxc(&["list", "-f", "csv", "-c", "n", "--all-projects"]);
    assert_eq!(listed, "c1\nc2\nc4\nc5\n");
    daemon.check();
}

#[test]
fn the_client_edits_metadata_and_templates() {
    let daemon = with_image();
    daemon.lxc(&["init", "a", "c1"]);
    daemon.lxc(&["config", "template", "create", "c1", "motd.tpl"]);
    let edit = ["config", "template", "edit", "c1", "motd.tpl"];
    daemon.lxc_with(&edit, "hello {{ instance.name }}\n");
    let shown = daemon.lxc(&["config", "template", "show", "c1", "motd.tpl"]);
    assert_eq!(shown.trim_end(), "hello {{ instance.name }}");
    let listed = daemon.lxc(&["config", "template", "list", "c1", "-f", "csv"]);
    assert!(listed.lines().any(|line| line == "motd.tpl"), "{listed}");
    let metadata = daemon.lxc(&["config", "metadata", "show", "c1"]);
    let rule = "templates:\n  /etc/motd:\n    when: [start]\n    template: motd.tpl\n";
    let edited = metadata.replace("templates: {}\n", rule);
    daemon.lxc_with(&["config", "metadata", "edit", "c1"], &edited);
    let metadata = daemon.lxc(&["config", "metadata", "show", "c1"]);
    assert!(metadata.contains("template: motd.tpl"), "{metadata}");
    daemon.lxc(&["config", "template", "delete", "c1", "motd.tpl"]);
    let listed = daemon.lxc(&["config", "template", "list", "c1", "-f", "csv"]);
    assert!(!listed.contains("motd.tpl"), "{listed}");
}

//! Sessions of pylxd, the Python client.

use serde_json::json;

use crate::support::{Lximaged, fingerprint, images, stream::Identity};

#[test]
fn images_are_created_listed_found_and_deleted() {
    let daemon = Lximaged::start();
    let packed = images::gzip(&images::container("a"));
    std::fs::write(daemon.home().join("a.tar.gz"), &packed).unwrap();
    let said = daemon.pylxd(
        "image = client.images.create(open('a.tar.gz', 'rb').read(), public=True, wait=True)\n\
         print(image.fingerprint, image.public, image.properties['description'])\n\
         image.add_alias('mine', 'by python')\n\
         print([image.fingerprint for image in client.images.all()])\n\
         print(client.images.get_by_alias('mine').fingerprint)\n\
         print(client.images.exists('mine', alias=True))\n",
    );
    let found = fingerprint(&[&packed]);
    let expected = format!("{found} True image a\n['{found}']\n{found}\nTrue\n");
    assert_eq!(said, expected);
    let said = daemon.pylxd(
        "client.images.get_by_alias('mine').delete(wait=True)\n\
         print(client.images.all())\n",
    );
    assert_eq!(said, "[]\n");
}

#[test]
fn split_images_are_created() {
    let daemon = Lximaged::start();
    std::fs::write(daemon.home().join("m"), images::metadata_tar("a")).unwrap();
    std::fs::write(daemon.home().join("r"), images::rootfs_tar("a")).unwrap();
    let said = daemon.pylxd(
        "image = client.images.create(open('r', 'rb').read(), open('m', 'rb').read(), wait=True)\n\
         print(image.fingerprint)\n",
    );
    assert_eq!(daemon.image(said.trim())["type"], "container");
}

#[test]
fn aliases_and_properties_are_changed() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let said = daemon.pylxd(&format!(
        "image = client.images.get('{found}')\n\
         image.add_alias('one', 'first')\n\
         image.delete_alias('one')\n\
         image.properties['os'] = 'Python'\n\
         image.save(wait=True)\n\
         print(client.images.get('{found}').properties['os'], image.aliases)\n",
    ));
    assert_eq!(said, "Python []\n");
}

#[test]
fn an_image_is_exported() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let found = daemon.import(&packed);
    daemon.pylxd(&format!(
        "open('out', 'wb').write(client.images.get('{found}').export().read())\n"
    ));
    assert_eq!(std::fs::read(daemon.home().join("out")).unwrap(), packed);
}

#[test]
fn commands_are_run() {
    let daemon = Lximaged::start();
    daemon.launch("c");
    let said = daemon.pylxd(
        "done = client.instances.get('c').execute(\n\
             ['sh', '-c', 'cat; echo $A; echo oops >&2; exit 7'],\n\
             environment={'A': 'b'}, stdin_payload='typed ')\n\
         print(done)\n",
    );
    let expected = "_InstanceExecuteResult(exit_code=7, stdout='typed b\\n', stderr='oops\\n')\n";
    assert_eq!(said, expected);
}

#[test]
fn failures_are_exceptions() {
    let daemon = Lximaged::start();
    let said = daemon.pylxd(
        "try:\n    client.images.get('abc')\n\
         except pylxd.exceptions.NotFound as error:\n    print(error)\n\
         try:\n    client.images.create(b'garbage', wait=True)\n\
         except pylxd.exceptions.LXDAPIException as error:\n    print(error)\n",
    );
    assert_eq!(said, "Image not found\nUnsupported compression\n");
}

#[test]
fn pylxd_joins_over_https_with_the_password_and_with_a_token() {
    let daemon = Lximaged::start();
    let address = daemon.listen();
    let config = json!({"config": {"core.trust_password": "pw"}});
    daemon.patch("/1.0", &config).is_done();
    for way in ["remote.authenticate('pw')", "remote.authenticate(token)"] {
        let identity = Identity::new();
        std::fs::write(daemon.home().join("c.crt"), identity.pem()).unwrap();
        std::fs::write(daemon.home().join("c.key"), identity.key_pem()).unwrap();
        let printed = daemon.lxc(&["config", "trust", "add", "--name", "py", "-q"]);
        let token = printed.lines().last().unwrap();
        let script = format!(
            "import os\n\
             token = '{token}'\n\
             verify = os.environ['LXD_DIR'] + '/server.crt'\n\
             remote = pylxd.Client('https://{address}', cert=('c.crt', 'c.key'), verify=verify)\n\
             assert not remote.trusted\n\
             {way}\n\
             assert remote.trusted\n\
             remote.projects.create('p1')\n\
             remote.projects.get('p1').delete(wait=True)\n\
             print(remote.images.all())"
        );
        assert_eq!(daemon.pylxd(&script).trim(), "[]", "{way}");
    }
}

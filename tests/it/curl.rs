//! What one does with curl.

use serde_json::Value;

use crate::support::{Lximaged, fingerprint, images};

#[test]
fn an_image_goes_in_and_comes_out() {
    let daemon = Lximaged::start();
    let packed = images::xz(&images::container("a"));
    std::fs::write(daemon.home().join("a.tar.xz"), &packed).unwrap();
    let said = daemon.curl(&["--data-binary", "@a.tar.xz", "http://lxd/1.0/images"]);
    let reply: Value = serde_json::from_str(&said).unwrap();
    let wait = format!("http://lxd{}/wait", reply["operation"].as_str().unwrap());
    let ended: Value = serde_json::from_str(&daemon.curl(&[&wait])).unwrap();
    assert_eq!(ended["metadata"]["status"], "Success");
    let found = fingerprint(&[&packed]);
    daemon.curl(&["-OJ", &format!("http://lxd/1.0/images/{found}/export")]);
    let file = daemon.home().join(format!("{found}.tar.xz"));
    assert_eq!(std::fs::read(file).unwrap(), packed);
}

#[test]
fn a_large_upload_asks_before_it_sends() {
    let daemon = Lximaged::start();
    let packed = images::container_of_size("a", 3 << 20);
    std::fs::write(daemon.home().join("a.tar"), &packed).unwrap();
    let args = [
        "-v",
        "-H",
        "Expect: 100-continue",
        "-T",
        "a.tar",
        "-X",
        "POST",
    ];
    let said = daemon.curl(&[args.as_slice(), &["http://lxd/1.0/images"]].concat());
    let reply: Value = serde_json::from_str(&said).unwrap();
    let path = format!("{}/wait", reply["operation"].as_str().unwrap());
    assert_eq!(daemon.get(&path).metadata()["status"], "Success");
}

#[test]
fn http2_works_over_the_network() {
    let daemon = Lximaged::start();
    let url = format!("https://{}/1.0", daemon.listen());
    let mut command = std::process::Command::new("curl");
    command.args([
        "-s",
        "-k",
        "--http2",
        "-o",
        "/dev/null",
        "-w",
        "%{http_version} %{http_code}",
        &url,
    ]);
    let said = crate::support::commands::said(&mut command, "curl");
    assert_eq!(said.out, "2 200");
}

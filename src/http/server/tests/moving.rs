//! A listener that is opened, moved and closed.

use super::*;

async fn is_open(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

#[tokio::test]
async fn a_moved_listener_leaves_its_address_and_keeps_its_connections() {
    let stage = Stage::new();
    let before = stage.open().await;
    let connection = stage.connect(before).await;
    stage.listen("127.0.0.2:0").await.unwrap();
    let after = stage.https.addresses()[0];
    assert!(!is_open(before).await);
    assert_eq!(stage.get(after).await, "tls 127.0.0.1 ");
    assert_eq!(ask(connection).await, "tls 127.0.0.1 ");
}

#[tokio::test]
async fn a_closed_listener_is_gone_and_can_be_opened_again() {
    let stage = Stage::new();
    let address = stage.open().await;
    stage.listen("").await.unwrap();
    assert_eq!(stage.https.addresses(), []);
    assert!(!is_open(address).await);
    stage.listen(&address.to_string()).await.unwrap();
    assert_eq!(stage.https.addresses(), [address]);
    stage.get(address).await;
}

#[tokio::test]
async fn an_address_in_use_is_refused_and_the_listener_stays() {
    let stage = Stage::new();
    let address = stage.open().await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let error = stage.listen(&taken).await.unwrap_err();
    let expected = format!(
        "Cannot listen on network HTTPS socket \"{taken}\": \
         listen tcp {taken}: bind: address already in use"
    );
    assert_eq!(error.message(), expected);
    assert_eq!(stage.https.addresses(), [address]);
    stage.get(address).await;
}

#[tokio::test]
async fn a_listener_takes_all_addresses_of_its_port() {
    let stage = Stage::new();
    let address = stage.open().await;
    let everywhere = format!("0.0.0.0:{}", address.port());
    stage.listen(&everywhere).await.unwrap();
    stage.get(address).await;
}

#[tokio::test]
async fn a_listener_that_was_in_the_way_comes_back_when_that_was_not_all() {
    let stage = Stage::new();
    let address = stage.open().await;
    let port = address.port();
    let _taken = std::net::TcpListener::bind(("127.0.0.2", port)).unwrap();
    let error = stage.listen(&format!("0.0.0.0:{port}")).await.unwrap_err();
    assert!(error.message().ends_with("address already in use"));
    assert_eq!(stage.https.addresses(), [address]);
    stage.get(address).await;
}

#[tokio::test]
async fn moves_at_the_same_time_leave_one_listener() {
    let stage = Stage::new();
    // Other tests take ports of another address.
    let ports = [(); 2].map(|()| {
        let free = std::net::TcpListener::bind("127.0.0.3:0").unwrap();
        free.local_addr().unwrap()
    });
    let [first, second] = ports.map(|address| address.to_string());
    for _ in 0..20 {
        let (first, second) = tokio::join!(stage.listen(&first), stage.listen(&second));
        first.unwrap();
        second.unwrap();
        let open = stage.https.addresses();
        assert_eq!(open.len(), 1);
        for address in ports {
            assert_eq!(is_open(address).await, open.contains(&address));
        }
    }
}

#[tokio::test]
async fn a_listener_without_room_can_be_closed() {
    let stage = Stage::limited(PATIENT, 1);
    let address = stage.open().await;
    let connection = stage.connect(address).await;
    stage.listen("").await.unwrap();
    assert!(!is_open(address).await);
    assert_eq!(ask(connection).await, "tls 127.0.0.1 ");
}

#[tokio::test]
async fn the_ipv6_wildcard_takes_clients_of_both_kinds() {
    let stage = Stage::new();
    stage.listen("[::]:0").await.unwrap();
    let port = stage.https.addresses()[0].port();
    let v4 = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(stage.get(v4).await, "tls 127.0.0.1 ");
    let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
    if is_open(v6).await {
        assert_eq!(stage.get(v6).await, "tls ::1 ");
    }
}

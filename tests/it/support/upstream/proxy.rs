//! A proxy that notes whom it was asked for, and connects to one server instead.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use super::lock;

/// A proxy. Its thread ends with the tests.
pub(crate) struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one that leads everybody to `target`.
    pub(crate) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&proxy.asked);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                // A connection that fails is the other side's affair.
                thread::spawn(move || drop(relay(socket, target, &asked)));
            }
        });
        proxy
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked for: the first line of each request.
    pub(crate) fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

fn relay(mut socket: TcpStream, target: SocketAddr, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    lock(asked).push(text.lines().next().unwrap_or_default().to_owned());
    let mut server = TcpStream::connect(target)?;
    if text.starts_with("CONNECT ") {
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        server.write_all(&through(&text))?;
    }
    let (mut to, mut from) = (server.try_clone()?, socket.try_clone()?);
    thread::spawn(move || drop(io::copy(&mut from, &mut to)));
    io::copy(&mut server, &mut socket)?;
    socket.shutdown(Shutdown::Both)
}

/// A request to a proxy as the server itself is asked.
fn through(head: &str) -> Vec<u8> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let rest = path.splitn(4, '/').nth(3).unwrap_or_default();
    head.replacen(path, &format!("/{rest}"), 1).into_bytes()
}

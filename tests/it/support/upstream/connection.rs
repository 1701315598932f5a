//! One connection: a request is read, and answered as the script says.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{
    Seen, Shared,
    page::{Act, Page},
};

/// Longer than any test waits.
const NEVER: Duration = Duration::from_mins(2);

/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Serves one request.
pub(super) fn serve(
    shared: &Shared,
    socket: &Arc<TcpStream>,
    tls: Option<Arc<ServerConfig>>,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(NEVER))?;
    let socket = Socket(Arc::clone(socket));
    let mut line = match tls {
        None => Line::Plain(socket),
        Some(config) => {
            let session = ServerConnection::new(config).map_err(io::Error::other)?;
            Line::Tls(Box::new(StreamOwned::new(session, socket)))
        }
    };
    let Some(seen) = line.read_request()? else {
        return Ok(());
    };
    let (page, act) = shared.answer_to(&seen);
    shared.note(seen.clone());
    let answer = Answer::new(&seen, page, act.as_ref());
    answer.give(&mut line, act, shared)
}

/// What goes over the line.
struct Answer {
    head: String,
    /// Where in the file its part begins.
    start: usize,
    body: Arc<[u8]>,
}

impl Answer {
    fn new(seen: &Seen, page: Page, act: Option<&Act>) -> Self {
        let page = match act {
            Some(Act::Say(other)) => other.clone(),
            _ => page,
        };
        let total = page.body.len();
        let is_whole = matches!(act, Some(Act::WholeAgain | Act::Endless | Act::Say(_)));
        let start = seen.wanted_from(&page).filter(|_| !is_whole);
        let (status, mut headers) = (page.status, page.headers.clone());
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        let (status, start) = match start {
            _ if seen.knows(&page) => (304, total),
            Some(start) if start < total => {
                let range = format!("bytes {start}-{}/{total}", total - 1);
                add("Content-Range", range);
                (206, start)
            }
            _ => (status, 0),
        };
        match act {
            Some(Act::Unframed(_)) => {}
            Some(Act::Endless) => add("Transfer-Encoding", "chunked".to_owned()),
            _ if page.value("content-length").is_some() || status == 304 => {}
            _ => add("Content-Length", (total - start).to_string()),
        }
        add("Connection", "close".to_owned());
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in headers {
            head.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
        }
        let has_body = seen.method != "HEAD" && status != 304;
        Self {
            head: head + "\r\n",
            start,
            body: if has_body { page.body } else { Arc::from([]) },
        }
    }

    fn give(&self, line: &mut Line, act: Option<Act>, shared: &Shared) -> io::Result<()> {
        match act {
            Some(Act::Refuse) => return line.reset(),
            Some(Act::Silent) => {
                shared.wait_for_release();
                return line.close();
            }
            Some(Act::Raw(bytes)) => {
                line.write_all(&bytes)?;
                return line.close();
            }
            _ => line.write_all(self.head.as_bytes())?,
        }
        match act {
            Some(Act::Reset(place)) => {
                line.send(self.until(place))?;
                line.reset()
            }
            Some(Act::Close(place) | Act::Unframed(place)) => {
                line.send(self.until(place))?;
                line.close()
            }
            Some(Act::Stall(place)) => {
                line.send(self.until(place))?;
                line.wait_for_end(NEVER).map(drop)
            }
            Some(Act::Hold(place)) => {
                let first = self.until(place);
                line.send(first)?;
                shared.wait_for_release();
                line.send(&self.rest()[first.len()..])?;
                line.close()
            }
            Some(Act::Drip) => self.drip(line),
            Some(Act::Endless) => self.go_on_for_ever(line),
            _ => {
                line.send(self.rest())?;
                line.close()
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.body.get(self.start..).unwrap_or_default()
    }

    /// What comes before a place in the file.
    fn until(&self, place: usize) -> &[u8] {
        let end = place.clamp(self.start, self.body.len().max(self.start));
        self.body.get(self.start..end).unwrap_or_default()
    }

    fn drip(&self, line: &mut Line) -> io::Result<()> {
        for byte in self.rest() {
            line.send(&[*byte])?;
            if line.wait_for_end(Duration::from_secs(1))? {
                break;
            }
        }
        Ok(())
    }

    fn go_on_for_ever(&self, line: &mut Line) -> io::Result<()> {
        let mut piece = self.body.to_vec();
        piece.resize(piece.len().max(64 * 1024), 0);
        loop {
            line.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            line.write_all(&piece)?;
            line.send(b"\r\n")?;
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// A socket that its server may shut down.
struct Socket(Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

/// The connection itself.
enum Line {
    Plain(Socket),
    Tls(Box<StreamOwned<ServerConnection, Socket>>),
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Line {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => &socket.0,
            Self::Tls(stream) => &stream.sock.0,
        }
    }

    /// The next request; `None` when whoever connected goes away without one.
    fn read_request(&mut self) -> io::Result<Option<Seen>> {
        let mut head = Vec::new();
        let mut buffer = [0; 4096];
        // A body may follow at once; nobody wants it.
        let end = loop {
            if let Some(end) = head.windows(4).position(|it| it == b"\r\n\r\n") {
                break end + 4;
            }
            let count = self.read(&mut buffer)?;
            if count == 0 || head.len() > MAX_HEAD_BYTES {
                return Ok(None);
            }
            head.extend_from_slice(&buffer[..count]);
        };
        head.truncate(end);
        let is_identified = match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.conn.peer_certificates().is_some(),
        };
        Ok(Seen::parse(&String::from_utf8_lossy(&head), is_identified))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.flush()
    }

    /// Ends in good order.
    fn close(&mut self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
        }
        self.flush()?;
        self.socket().shutdown(Shutdown::Write)?;
        self.wait_for_end(NEVER).map(drop)
    }

    /// Breaks off: the connection is reset when it is let go.
    fn reset(&self) -> io::Result<()> {
        rustix::net::sockopt::set_socket_linger(self.socket(), Some(Duration::ZERO))?;
        Ok(())
    }

    /// Whether the other side ends within this time.
    fn wait_for_end(&mut self, patience: Duration) -> io::Result<bool> {
        self.socket().set_read_timeout(Some(patience))?;
        match self.read(&mut [0; 1024]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

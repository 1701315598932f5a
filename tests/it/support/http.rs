//! HTTP/1.1 by hand: what is sent is what the test says, what came is all kept.

use std::io::{self, Read, Write};

use serde_json::{Value, json};

use super::stream::Stream;

/// A request, sent as told: no header but `Host`, `Connection` and the length is added.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunked: bool,
    keep_alive: bool,
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            chunked: false,
            keep_alive: false,
        }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds several headers.
    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Self {
        headers
            .iter()
            .fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Sets a JSON body, with its content type.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json")
            .body(body.to_string())
    }

    /// Sends the body in chunks, without telling its length, as `lxc` uploads images.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Leaves the connection open for another request.
    pub(crate) fn keep_alive(mut self) -> Self {
        self.keep_alive = true;
        self
    }

    fn head(&self) -> String {
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.path)];
        lines.push("Host: unix.socket".to_owned());
        if !self.keep_alive {
            lines.push("Connection: close".to_owned());
        }
        if self.chunked {
            lines.push("Transfer-Encoding: chunked".to_owned());
        } else if !self.body.is_empty() || self.method != "GET" {
            lines.push(format!("Content-Length: {}", self.body.len()));
        }
        lines.extend(
            self.headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        lines.join("\r\n") + "\r\n\r\n"
    }

    fn write(&self, stream: &mut dyn Stream) -> io::Result<()> {
        stream.write_all(self.head().as_bytes())?;
        if !self.chunked {
            stream.write_all(&self.body)?;
            return stream.flush();
        }
        for part in self.body.chunks(64 * 1024) {
            write!(stream, "{:x}\r\n", part.len())?;
            stream.write_all(part)?;
            stream.write_all(b"\r\n")?;
        }
        stream.write_all(b"0\r\n\r\n")?;
        stream.flush()
    }
}

/// An open connection: requests, raw bytes, or nothing more at all.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// Bytes that were read past the end of the last answer.
    ahead: Vec<u8>,
}

impl Connection {
    /// Speaks HTTP over `stream`.
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// Sends a request and reads its answer. A server that answers early and closes is heard all
    /// the same.
    pub(crate) fn send(&mut self, request: &Request) -> io::Result<Answer> {
        let written = request.write(&mut *self.stream);
        match self.read_answer(&request.method) {
            Err(error) => Err(written.err().unwrap_or(error)),
            answer => answer,
        }
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads the answer to a request of this method.
    pub(crate) fn read_answer(&mut self, method: &str) -> io::Result<Answer> {
        let head = self.read_head()?;
        let mut answer = Answer::parse_head(&head)?;
        answer.body = self.read_body(method, &answer)?;
        answer.json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        Ok(answer)
    }

    /// Waits until the answer has begun to arrive.
    pub(crate) fn wait_for_bytes(&mut self) -> io::Result<()> {
        self.read_more()
    }

    fn read_head(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let head = self.ahead.drain(..end + 4).collect();
                return String::from_utf8(head).map_err(io::Error::other);
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..count]);
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn read_body(&mut self, method: &str, answer: &Answer) -> io::Result<Vec<u8>> {
        if method == "HEAD" || matches!(answer.status, 100..200 | 204 | 304) {
            return Ok(Vec::new());
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            return self.read_chunks();
        }
        match answer.header("content-length") {
            Some(length) => self.take(length.parse().map_err(io::Error::other)?),
            None => self.read_to_end(),
        }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.read_more()?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let count = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
            body.extend(self.take(count)?);
            self.take(2)?;
            if count == 0 {
                return Ok(body);
            }
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                let line = self.take(end + 2)?;
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.read_more()?;
        }
    }

    /// Reads until the server closes; an end without a TLS goodbye counts as one.
    pub(crate) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.read_more() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(std::mem::take(&mut self.ahead));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// All of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// `HTTP/1.1`, as the server wrote it.
    pub(crate) version: String,
    /// The status code.
    pub(crate) status: u16,
    /// Header names as written, in their order.
    pub(crate) headers: Vec<(String, String)>,
    /// The exact bytes of the body.
    pub(crate) body: Vec<u8>,
    /// The body as JSON; null when it is something else.
    pub(crate) json: Value,
}

impl Answer {
    fn parse_head(head: &str) -> io::Result<Self> {
        let malformed = || io::Error::other(format!("malformed answer: {head}"));
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let mut status_line = lines.next().ok_or_else(malformed)?.splitn(3, ' ');
        let version = status_line.next().unwrap_or_default().to_owned();
        let status = status_line.next().and_then(|code| code.parse().ok());
        let headers = lines
            .map(|line| line.split_once(": ").ok_or_else(malformed))
            .map(|pair| pair.map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect::<io::Result<_>>()?;
        let status = status.ok_or_else(malformed)?;
        Ok(Self {
            version,
            status,
            headers,
            body: Vec::new(),
            json: Value::Null,
        })
    }

    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text, for messages and plain texts.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts that it is LXD's error envelope with this code and text, whole.
    #[track_caller]
    pub(crate) fn is_error(&self, code: u16, text: &str) {
        let envelope = json!({"type": "error", "status": "", "status_code": 0, "operation": "",
            "error_code": code, "error": text, "metadata": null});
        assert_eq!(
            (self.status, &self.json),
            (code, &envelope),
            "{}",
            self.text()
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        assert!(
            self.text().ends_with("}\n\n"),
            "an error ends in two newlines"
        );
    }

    /// Asserts that it is a sync envelope, whole, and gives its metadata.
    #[track_caller]
    pub(crate) fn metadata(&self) -> &Value {
        let mut envelope = json!({"type": "sync", "status": "Success", "status_code": 200,
            "operation": "", "error_code": 0, "error": ""});
        envelope["metadata"] = self.json["metadata"].clone();
        assert_eq!(
            (self.status, &self.json),
            (200, &envelope),
            "{}",
            self.text()
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        &self.json["metadata"]
    }

    /// Asserts success with nothing to return.
    #[track_caller]
    pub(crate) fn is_done(&self) {
        assert_eq!(self.metadata(), &json!({}));
    }

    /// Asserts that something was created, and where.
    #[track_caller]
    pub(crate) fn is_created(&self, location: &str) {
        assert_eq!(self.status, 201, "{}", self.text());
        assert_eq!(self.header("location"), Some(location));
        assert_eq!(self.json["metadata"], Value::Null);
        assert_eq!(self.json["status_code"], 200, "the body of a 201 says 200");
    }

    /// Asserts that an operation was started, with the whole envelope, and gives it.
    #[track_caller]
    pub(crate) fn operation(&self) -> &Value {
        let operation = &self.json["metadata"];
        let url = format!(
            "/1.0/operations/{}",
            operation["id"].as_str().unwrap_or("none")
        );
        let envelope = json!({"type": "async", "status": "Operation created", "status_code": 100,
            "operation": url, "error_code": 0, "error": "", "metadata": operation});
        assert_eq!(
            (self.status, &self.json),
            (202, &envelope),
            "{}",
            self.text()
        );
        assert_eq!(self.header("location"), Some(url.as_str()));
        operation
    }
}

//! A command's streams and a client's sockets: what one writes, the other reads.
//!
//! Everything waits for its slower side, so that nothing piles up.

use std::{collections::BTreeMap, time::Duration};

use bytes::BytesMut;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Result,
    operations::{Arrival, Arrivals, Frame, Socket},
    runtime::{Attached, Control, Terminal},
};

/// How much is read at once.
const PIECE_BYTES: usize = 32 * 1024;

/// How long a stream is still listened to after the command has ended: what it started in the
/// background may hold the stream open for ever.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The sockets of one command.
#[derive(Debug)]
pub(super) struct Sockets {
    input: Option<Socket>,
    output: Option<Socket>,
    errors: Option<Socket>,
    /// Not every client connects it.
    control: Option<Arrival>,
}

impl Sockets {
    /// Waits for the clients that there have to be. They come by LXD's names.
    ///
    /// # Errors
    ///
    /// LXD's text when they take too long.
    pub(super) async fn of(mut arrivals: Arrivals) -> Result<Self> {
        let control = arrivals.take("control");
        let mut sockets = arrivals.all().await?;
        Ok(Self {
            input: sockets.remove("0"),
            output: sockets.remove("1"),
            errors: sockets.remove("2"),
            control,
        })
    }
}

/// What a client sends over the control socket.
#[derive(Debug, Deserialize)]
struct Command {
    #[serde(rename = "command")]
    name: String,
    #[serde(default)]
    args: BTreeMap<String, String>,
    #[serde(default)]
    signal: i32,
}

/// Serves a command until it ends. Returns its exit code.
pub(super) async fn serve(mut attached: Attached, sockets: Sockets) -> Result<i32> {
    let (ended, left) = (CancellationToken::new(), CancellationToken::new());
    let terminal = attached.terminal.take();
    let pipes = (
        attached.stdin.take(),
        attached.stdout.take(),
        attached.stderr.take(),
    );
    let orders = Orders {
        control: sockets.control,
        left: left.clone(),
        terminal: terminal.clone(),
    };
    let running = run(&mut attached, orders, &ended);
    if let Some(terminal) = terminal {
        let (from, to) = halves(sockets.input);
        let input = async {
            ended.run_until_cancelled(terminal.set_up()).await;
            feed(Some(terminal.clone()), from, &ended).await;
            left.cancel();
        };
        let output = drain(Some(terminal.clone()), to, &ended);
        return tokio::join!(running, input, output).0;
    }
    let (from, _to) = halves(sockets.input);
    let ((listening, output), (_err, errors)) = (halves(sockets.output), halves(sockets.errors));
    let input = feed(pipes.0, from, &ended);
    let output = async {
        // A client that has heard everything may go.
        tokio::select! {
            () = drain(pipes.1, output, &ended) => {}
            () = gone(listening) => left.cancel(),
        }
    };
    let errors = drain(pipes.2, errors, &ended);
    tokio::join!(running, input, output, errors).0
}

type Halves = (Option<mpsc::Receiver<Frame>>, Option<mpsc::Sender<Frame>>);

fn halves(socket: Option<Socket>) -> Halves {
    socket.map_or((None, None), |socket| {
        (Some(socket.incoming), Some(socket.outgoing))
    })
}

/// Waits until a client that only listens has gone.
async fn gone(client: Option<mpsc::Receiver<Frame>>) {
    let Some(mut client) = client else {
        return std::future::pending().await;
    };
    while client.recv().await.is_some() {}
}

/// Where a client says what is to be done with a command.
struct Orders {
    control: Option<Arrival>,
    /// The client has gone, as far as can be seen without the control socket.
    left: CancellationToken,
    terminal: Option<Terminal>,
}

/// Waits for the command's end, and does what the client says meanwhile. Without the client there
/// is nobody whom the command could serve: it is ended.
async fn run(attached: &mut Attached, orders: Orders, ended: &CancellationToken) -> Result<i32> {
    let handle = attached.control();
    let obeyed = orders.obey(&handle);
    tokio::pin!(obeyed);
    let code = tokio::select! {
        code = attached.wait() => code,
        () = &mut obeyed => {
            handle.kill();
            attached.wait().await
        }
    };
    ended.cancel();
    code
}

impl Orders {
    /// Does what comes over the control socket, until it closes; without one, waits until the
    /// client has gone.
    async fn obey(self, handle: &Control) {
        let Some(control) = self.control else {
            return self.left.cancelled().await;
        };
        let mut control = tokio::select! {
            biased;
            control = control.socket() => control,
            () = self.left.cancelled() => return,
        };
        while let Some(frame) = control.incoming.recv().await {
            let parsed = match &frame {
                Frame::Text(text) => serde_json::from_str::<Command>(text),
                Frame::Binary(bytes) => serde_json::from_slice(bytes),
            };
            let done = match parsed {
                Ok(command) => command.apply(handle, self.terminal.as_ref()),
                Err(error) => {
                    tracing::debug!(%error, "not a command for a process");
                    continue;
                }
            };
            if let Err(error) = done {
                tracing::debug!(%error, "a command for a process failed");
            }
        }
    }
}

impl Command {
    fn apply(&self, handle: &Control, terminal: Option<&Terminal>) -> Result<()> {
        let argument = |name: &str| self.args.get(name).and_then(|text| text.parse().ok());
        match (self.name.as_str(), terminal) {
            ("signal", _) => handle.signal(self.signal),
            ("window-resize", Some(terminal)) => match (argument("width"), argument("height")) {
                (Some(width), Some(height)) => terminal.resize(width, height),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Passes what a client sends on to a command, to the end of it. What a command that does not
/// read any more is sent is lost.
async fn feed<W: AsyncWrite + Unpin>(
    mut stdin: Option<W>,
    client: Option<mpsc::Receiver<Frame>>,
    ended: &CancellationToken,
) {
    let Some(mut client) = client else { return };
    let passing = async {
        while let Some(frame) = client.recv().await {
            match (frame, &mut stdin) {
                (Frame::Binary(bytes), Some(open)) => {
                    if open.write_all(&bytes).await.is_err() {
                        stdin = None;
                    }
                }
                (Frame::Text(text), _) if text.is_empty() => stdin = None,
                (Frame::Text(text), Some(open)) => {
                    if open.write_all(text.as_bytes()).await.is_err() {
                        stdin = None;
                    }
                }
                (_, None) => {}
            }
        }
        stdin = None;
    };
    ended.run_until_cancelled(passing).await;
}

/// Passes what a command writes on to a client, to the end of it. A client that has gone breaks
/// the command's pipe.
async fn drain<R: AsyncRead + Unpin>(
    stream: Option<R>,
    client: Option<mpsc::Sender<Frame>>,
    ended: &CancellationToken,
) {
    let (Some(mut stream), Some(client)) = (stream, client) else {
        return;
    };
    let mut piece = BytesMut::with_capacity(PIECE_BYTES);
    loop {
        piece.reserve(PIECE_BYTES);
        let reading = stream.read_buf(&mut piece);
        let read = tokio::select! {
            biased;
            read = reading => read,
            () = ended.cancelled() => last_words(&mut stream, &mut piece).await,
        };
        if !matches!(read, Ok(1..)) {
            break;
        }
        if client
            .send(Frame::Binary(piece.split().freeze()))
            .await
            .is_err()
        {
            return;
        }
    }
    // The client may have gone meanwhile.
    drop(client.send(Frame::end()).await);
}

async fn last_words<R: AsyncRead + Unpin>(
    stream: &mut R,
    piece: &mut BytesMut,
) -> std::io::Result<usize> {
    timeout(LAST_WORDS, stream.read_buf(piece))
        .await
        .unwrap_or(Ok(0))
}

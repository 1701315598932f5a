//! Root files made out of older ones: the program `xdelta3` applies what the server has of the
//! difference. Without it, or without the older file, the whole file is fetched.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{
    catalog::Delta,
    server::{Bases, Listed, StreamServer},
};
use crate::{
    error::{Context, Error, Result},
    image::Part,
    remote::{
        Meter, Sink,
        download::{MAX_UNKNOWN_BYTES, Wanted},
        wording::shown,
    },
};

/// How much of the program's output is read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// How long the program may think before it goes on writing.
const SILENT_FOR: Duration = Duration::from_mins(5);

/// A delta whose base is here.
#[derive(Debug)]
pub(crate) struct UsableDelta {
    pub(super) delta: Delta,
    pub(super) base: PathBuf,
}

impl Listed {
    /// A delta whose base is here, if there is one and the program to apply it.
    pub(crate) async fn usable_delta(&self, bases: &Bases) -> Option<UsableDelta> {
        program()?;
        for delta in &self.entry.deltas {
            if let Some(base) = bases(delta.base.clone()).await {
                let delta = delta.clone();
                return Some(UsableDelta { delta, base });
            }
        }
        None
    }
}

impl StreamServer {
    /// Makes the root file out of `base`.
    pub(super) async fn patch(
        &self,
        base: &Path,
        delta: &Wanted,
        rootfs: &Wanted,
        sink: &mut impl Sink,
        meter: Meter,
    ) -> Result<()> {
        let mut child = start(base)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::failed("Failed to run xdelta3"));
        };
        sink.begin(Part::Rootfs).await?;
        let mut input = Input(Some(stdin));
        let of_delta = meter.of("rootfs delta: ", delta.size_bytes);
        let feeding = async {
            let fed = self
                .outbound
                .download(&self.contact, delta, &mut input, of_delta);
            let fed = fed.await;
            drop(input);
            fed
        };
        let taking = take(stdout, rootfs, sink);
        let (fed, taken) = tokio::join!(feeding, taking);
        fed?;
        taken?;
        let status = child.wait().await.context("Failed to run xdelta3")?;
        if status.success() {
            return Ok(());
        }
        Err(Error::failed(format!(
            "xdelta3 cannot apply {}",
            shown(&delta.url)
        )))
    }
}

/// Where the program is; looked for once.
fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| {
        let path = std::env::var_os("PATH")?;
        let mut places = std::env::split_paths(&path).map(|place| place.join("xdelta3"));
        places.find(|place| place.is_absolute() && place.is_file())
    });
    found.as_deref()
}

fn start(base: &Path) -> Result<Child> {
    let program = program().ok_or_else(|| Error::failed("xdelta3 is not installed"))?;
    Command::new(program)
        .args(["-d", "-c", "-s"])
        .arg(base)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("Failed to run xdelta3")
}

/// The program's input, as a place for downloaded bytes.
struct Input(Option<ChildStdin>);

impl Sink for Input {
    async fn begin(&mut self, _part: Part) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let Some(stdin) = &mut self.0 else {
            return Ok(());
        };
        stdin
            .write_all(&bytes)
            .await
            .context("Failed to run xdelta3")
    }
}

/// Takes the program's output, which has to be the whole file.
async fn take(mut stdout: ChildStdout, rootfs: &Wanted, sink: &mut impl Sink) -> Result<()> {
    let (mut digest, mut came) = (Sha256::new(), 0_u64);
    let limit = rootfs.size_bytes.unwrap_or(MAX_UNKNOWN_BYTES);
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let read = tokio::time::timeout(SILENT_FOR, stdout.read_buf(&mut chunk)).await;
        let read = read
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .context("Failed to run xdelta3")?;
        if read == 0 {
            break;
        }
        came += read as u64;
        if came > limit {
            return Err(Error::failed("The delta makes a file that is too long"));
        }
        digest.update(&chunk);
        sink.write(chunk.freeze()).await?;
    }
    let got = hex::encode(digest.finalize());
    match &rootfs.sha256 {
        Some(sha256) if *sha256 != got => Err(Error::failed(format!(
            "Hash mismatch for {}: {got} != {sha256}",
            shown(&rootfs.url)
        ))),
        _ => Ok(()),
    }
}

//! Pseudo-terminals.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, unix::AsyncFd},
    time::{sleep, timeout},
};

use super::readiness;
use crate::error::{Error, Result};

/// How long liblxc may take to make the terminal its own, and how often to look.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// Our end of a terminal. Cheap to clone; all clones are one terminal, which hangs up when the
/// last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Terminal(Arc<AsyncFd<OwnedFd>>);

impl Terminal {
    /// A terminal of this size, and the end that a program gets.
    pub(super) fn open(width: u16, height: u16) -> Result<(Self, OwnedFd)> {
        let opened = open(width, height)
            .map_err(|error| Error::internal("No terminal to be had", io::Error::from(error)));
        let (ours, theirs) = opened?;
        let ours =
            readiness(ours).map_err(|error| Error::internal("No terminal to be had", error))?;
        Ok((Self(Arc::new(ours)), theirs))
    }

    /// Gives it another size; the program is told by SIGWINCH.
    pub(crate) fn resize(&self, width: u16, height: u16) -> Result<()> {
        let resized = tcsetwinsize(self.0.get_ref(), size(width, height));
        resized.map_err(|error| Error::from(io::Error::from(error)))
    }

    /// Waits until liblxc has set the terminal up, or does not seem to. It throws away what was
    /// typed before, so nothing may be.
    pub(crate) async fn set_up(&self) {
        let until_set = async {
            while !self.is_set_up() {
                sleep(LOOK).await;
            }
        };
        if timeout(PATIENCE, until_set).await.is_err() {
            tracing::debug!("liblxc does not set its terminal up");
        }
    }

    /// Whether the output is worked on: liblxc turns that on again, which was off when it was opened.
    fn is_set_up(&self) -> bool {
        let modes = tcgetattr(self.0.get_ref()).map(|attributes| attributes.output_modes);
        modes.is_ok_and(|modes| modes.contains(OutputModes::OPOST))
    }
}

fn open(width: u16, height: u16) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    tcsetwinsize(&ours, size(width, height))?;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    // The terminal inside echoes and edits; this one passes everything on.
    let mut attributes = tcgetattr(&theirs)?;
    attributes.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &attributes)?;
    let mode = fcntl_getfl(&ours)?;
    fcntl_setfl(ours.as_fd(), mode | OFlags::NONBLOCK)?;
    Ok((ours, theirs))
}

fn size(width: u16, height: u16) -> Winsize {
    Winsize {
        ws_row: height,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl AsyncRead for Terminal {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            let space = buffer.initialize_unfilled();
            match ready.try_io(|end| read(end.get_ref(), space)) {
                Ok(Ok(length)) => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                // The last program that had the other end is gone.
                Ok(Err(error)) if error.raw_os_error() == Some(HUNG_UP) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

/// Reads what was written, without what liblxc's terminal has put in: it writes a carriage return
/// before every line feed, as the terminal inside has done where that was wanted.
fn read(end: &OwnedFd, space: &mut [u8]) -> io::Result<usize> {
    // One byte is kept for the second half of such a pair.
    let most = space.len().saturating_sub(1).max(1);
    let (first, rest) = space.split_at_mut(most.min(space.len()));
    let mut length = rustix::io::read(end, &mut *first)?;
    if length == most && first.last() == Some(&b'\r') {
        // Nothing may be there yet; the next time will do then.
        length += rustix::io::read(end, rest).unwrap_or_default();
    }
    let length = length.min(space.len());
    Ok(space.get_mut(..length).map_or(0, drop_returns))
}

/// Takes the carriage return before every line feed away. Returns how many bytes are left.
fn drop_returns(bytes: &mut [u8]) -> usize {
    let mut kept = 0;
    for at in 0..bytes.len() {
        let pair = (bytes.get(at).copied(), bytes.get(at + 1).copied());
        let (Some(byte), next) = pair else { break };
        if byte == b'\r' && next == Some(b'\n') {
            continue;
        }
        if let Some(place) = bytes.get_mut(kept) {
            *place = byte;
        }
        kept += 1;
    }
    kept
}

/// What reading says when nobody has the other end.
const HUNG_UP: i32 = rustix::io::Errno::IO.raw_os_error();

impl AsyncWrite for Terminal {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(context))?;
            match ready.try_io(|end| Ok(rustix::io::write(end, bytes)?)) {
                Ok(written) => return Poll::Ready(written),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::drop_returns;

    #[test]
    fn one_return_goes_before_each_line_feed() {
        for (came, left) in [
            ("", ""),
            ("plain", "plain"),
            ("a\r\r\nb\r\n\r\n", "a\r\nb\n\n"),
            ("50%\r", "50%\r"),
            ("\r\r\r\n", "\r\r\n"),
        ] {
            let mut bytes = came.as_bytes().to_vec();
            let kept = drop_returns(&mut bytes);
            assert_eq!(&bytes[..kept], left.as_bytes());
        }
    }
}

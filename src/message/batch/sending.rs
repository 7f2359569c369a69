//! How a batch is sent.

use super::super::{Known, is_stream};
use super::SendBatch;
use crate::error::SendError;
use crate::sys::socket::Kind;
use crate::wire::cmsg::FDS_MAX;
use crate::{AsFd, BorrowedFd, Errno};

/// Sends those messages of a batch that have not been sent yet, in one call, and gives how many went.
///
/// They go in order, each whole or not at all. Where one cannot be sent, those before it have been and
/// are counted; that one is next, and another call tells what is wrong with it. (By then a datagram
/// socket is not connected any more whose peer was found to be gone: `ENOTCONN`.) One call sends at most
/// 1024. So all are sent when [`unsent`](SendBatch::unsent) is 0, not when this was called once. Of
/// nothing to send it is 0, without a call. `SIGPIPE` is not raised.
///
/// `fd` is any `AF_UNIX` socket that carries data; datagram and seqpacket sockets have this as a method.
/// On a **stream**, where one write does as well, each message is so many bytes: one of which only a
/// part went is [`SendError::Short`]. Where there are descriptors and no data, the socket is asked for
/// its type first (`SO_TYPE`).
///
/// # Errors
///
/// Of the first message that was to be sent; no message was sent, and it is still next:
///
/// - what [`send_with`](crate::send_with) gives, of which `EAGAIN` and `EINTR` say that there was no
///   room yet, and `ECONNREFUSED`, `ENOENT` and others that there is no receiver of that name;
/// - [`SendError::TooManyFds`]: it has more than 253. [`SendError::NoData`]: it has descriptors and not a
///   byte of data, on a stream.
///
/// [`SendError::Short`]: that message has been counted, and the others before it were sent.
///
/// # Examples
///
/// See [`SendBatch`].
///
/// Linux 3.0 (on a stream 4.9: before that the kernel went on behind a message of which only a part
/// went); see [sendmmsg(2)](https://man7.org/linux/man-pages/man2/sendmmsg.2.html).
#[doc(alias = "sendmmsg")]
#[inline]
pub fn send_batch(fd: impl AsFd, batch: &mut SendBatch<'_>) -> Result<usize, SendError> {
    send_batch_to(fd.as_fd(), None, batch)
}

#[inline(always)]
pub(super) fn send_batch_to(
    fd: BorrowedFd<'_>,
    known: Known,
    batch: &mut SendBatch<'_>,
) -> Result<usize, SendError> {
    if batch.unsent() == 0 {
        return Ok(0);
    }
    let mut end = batch.len();
    if batch.bare_fds {
        end = end_on_stream(fd, known, batch)?;
    }
    let count = match batch.outgoing.send(fd, end, batch.flags) {
        Ok(count) => count,
        Err(errno) => return Err(refused(batch, errno)),
    };
    if !matches!(known, Some(Kind::Datagram | Kind::Seqpacket)) {
        if let Some((bytes, size)) = batch.outgoing.last_sent() {
            if bytes < size {
                return Err(SendError::Short { bytes, size });
            }
        }
    }
    Ok(count)
}

/// How far it can be sent: on a stream up to the first message that has descriptors and no data.
#[cold]
fn end_on_stream(
    fd: BorrowedFd<'_>,
    known: Known,
    batch: &SendBatch<'_>,
) -> Result<usize, SendError> {
    // It may have been skipped.
    let Some((at, fds)) = batch.outgoing.bare_fds() else { return Ok(batch.len()) };
    match is_stream(fd, known) {
        Ok(true) if at == batch.sent() => Err(SendError::NoData { fds }),
        Ok(true) => Ok(at),
        Ok(false) => Ok(batch.len()),
        Err(errno) => Err(SendError::Kernel(errno)),
    }
}

/// Why the next message was not sent.
#[cold]
#[inline(never)]
fn refused(batch: &SendBatch<'_>, errno: Errno) -> SendError {
    if errno == Errno::INVAL {
        let fds = batch.outgoing.fds(batch.sent());
        if fds > FDS_MAX {
            return SendError::TooManyFds { fds };
        }
    }
    SendError::Kernel(errno)
}

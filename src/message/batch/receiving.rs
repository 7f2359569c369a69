//! How a batch is received.

use super::super::Known;
use super::{BatchMessages, RecvBatch};
use crate::socket::hung_up;
use crate::sys::batch::Glance;
use crate::sys::queue::readable;
use crate::sys::socket::Kind;
use crate::sys::sockopt;
use crate::{AsFd, BorrowedFd, Errno};

/// Receives as many messages as there are and the batch has buffers for, in one call; waits if there
/// are none, for the first alone.
///
/// Of a batch without buffers nothing is received, without a call. The kernel's timeout is not used: it
/// is looked at only when a message has come, so that it limits nothing.
///
/// An error that the kernel meets behind the first message is told by the next call on this socket,
/// whichever that is, or by [`take_error`](crate::UnixStream::take_error).
///
/// The **end** of a connection is a message of 0 bytes, and it is the last. (The kernel fills all buffers
/// that are left with such.) On a seqpacket connection an empty message looks the same. Where the last
/// buffers of a full batch have empty messages, the socket is asked whether the peer has hung up
/// (`poll`) and nothing is queued (`ioctl`): if so, one of them stands for them all; with `SO_PASSCRED` and room for credentials they
/// are told apart. Of a **stream**, each buffer is filled with what there is, as by one read after the
/// other.
///
/// `fd` is any `AF_UNIX` socket that carries data; datagram and seqpacket sockets have this as a method.
/// Else, where there are 0 bytes at the end of a full batch, or with control messages, the socket is
/// asked for its type then (`SO_TYPE`).
///
/// # Errors
///
/// What a receive of one message gives: `EAGAIN`, `EINTR`, `ECONNRESET`, and `ENOTCONN` (of a stream
/// `EINVAL`). Nothing was received then, and no buffer touched. `ENOSYS`: before Linux 2.6.33. That
/// control messages were lost is told by [`BatchMessage::take_ancillary`](super::BatchMessage::take_ancillary).
///
/// # Examples
///
/// See [`RecvBatch`].
///
/// `MSG_WAITFORONE`, `MSG_CMSG_CLOEXEC`, Linux 2.6.34; see
/// [recvmmsg(2)](https://man7.org/linux/man-pages/man2/recvmmsg.2.html).
#[doc(alias = "recvmmsg")]
#[doc(alias = "MSG_WAITFORONE")]
#[inline]
pub fn recv_batch<'m>(
    fd: impl AsFd,
    batch: &'m mut RecvBatch<'_>,
) -> Result<BatchMessages<'m>, Errno> {
    recv_batch_from(fd.as_fd(), None, batch)
}

#[inline(always)]
pub(super) fn recv_batch_from<'m>(
    fd: BorrowedFd<'_>,
    known: Known,
    batch: &'m mut RecvBatch<'_>,
) -> Result<BatchMessages<'m>, Errno> {
    if !batch.is_empty() {
        let received = batch.incoming.receive(fd, batch.flags)?;
        batch.stream = false;
        if known != Some(Kind::Datagram)
            && (batch.incoming.has_more() || batch.incoming.ends_empty())
        {
            find_end(batch, fd, known, received);
        }
    }
    Ok(batch.messages())
}

/// Finds out, where a message has no data, whether it is none but the end of a connection, which the
/// kernel puts into each buffer that is left.
#[cold]
#[inline(never)]
fn find_end(batch: &mut RecvBatch<'_>, fd: BorrowedFd<'_>, known: Known, received: usize) {
    let full = batch.incoming.ends_empty();
    let controlled = |glance: Glance| glance.size == 0 && glance.controlled;
    if !full && !(0..received).any(|at| batch.incoming.glance(at).is_some_and(controlled)) {
        return;
    }
    let kind = known.map_or_else(|| sockopt::kind(fd), |kind| Ok(kind.number()));
    // A socket that will not say what it is gets the answer that believes less.
    batch.stream = kind.map_or(true, |kind| kind == Kind::Stream.number());
    // Datagrams have no end.
    if !full || kind == Ok(Kind::Datagram.number()) {
        return;
    }
    let kept = if batch.stream {
        // Only into no room at all a stream gives no byte before its end.
        let is_end = |glance: Glance| glance.size == 0 && glance.data_room > 0;
        let end = (0..received).find(|at| batch.incoming.glance(*at).is_some_and(is_end));
        end.map_or(received, |at| at.saturating_add(1))
    } else {
        // What is behind the last that is surely a message, and of that the first.
        let is_message = |glance: Glance| glance.size > 0 || glance.controlled || glance.named;
        let last =
            (0..received).rev().find(|at| batch.incoming.glance(*at).is_some_and(is_message));
        last.map_or(1, |at| at.saturating_add(2))
    };
    if kept < received && (batch.stream || has_ended(fd)) {
        batch.incoming.shorten(kept);
    }
}

/// Whether the last that there is was received: nobody will send any more, and nothing is queued, which would
/// have come before the end.
fn has_ended(fd: BorrowedFd<'_>) -> bool {
    hung_up(fd) && readable(fd) == Ok(0)
}

//! How data with control messages is received, and what is missing then.

use core::mem::MaybeUninit;

use super::{Known, RecvOptions, is_stream};
use crate::ancillary::{Ancillary, Fds, cause};
use crate::error::{RecvError, Truncation};
use crate::socket::Received;
use crate::sys::control::{Arrived, Messages};
use crate::sys::fds::FdsRoom;
use crate::sys::msg::{CTRUNC, Incoming, PEEK, PIECES_MAX, receive, received_len};
use crate::sys::socket::Kind;
use crate::wire::cmsg::FDS_MAX;
use crate::{BorrowedFd, IoSliceMut, OwnedFd};

/// Receives data, and descriptors into `room`.
#[inline(always)]
pub(super) fn recv_fds_from<'b, const N: usize>(
    fd: BorrowedFd<'_>,
    known: Known,
    buf: &mut [u8],
    room: &'b mut FdsRoom<N>,
) -> Result<(Received, Arrived<'b>), RecvError> {
    const { assert!(N <= FDS_MAX, "a message carries at most 253 descriptors") };
    let (data_room, room) = (buf.len(), room.bytes());
    let control_room = room.len();
    let Incoming { size, flags, arrived } =
        match receive(fd, &mut [IoSliceMut::new(buf)], room, None, 0) {
            Ok(incoming) => incoming,
            Err(errno) => return Err(RecvError::Kernel(errno)),
        };
    if flags & CTRUNC != 0 {
        let question = Question { fd, known, size, data_room, control_room, lossy: false };
        if let Verdict::Refuse(cause) = judge(question, true, arrived.iter()) {
            return Err(truncated(size, data_room, arrived, cause));
        }
    }
    Ok((Received::new(size, data_room), arrived))
}

#[inline(always)]
pub(super) fn recv_fds_exact_from<const N: usize>(
    fd: BorrowedFd<'_>,
    known: Known,
    buf: &mut [u8],
) -> Result<(Received, [OwnedFd; N]), RecvError> {
    let mut room = FdsRoom::<N>::new();
    let (received, arrived) = recv_fds_from(fd, known, buf, &mut room)?;
    let fds = Fds::<N>::of(arrived);
    let found = fds.len().saturating_add(fds.surplus());
    if found == N {
        if let Ok(fds) = fds.into_array() {
            return Ok((received, fds));
        }
    }
    let Received { bytes, size } = received;
    Err(RecvError::WrongCount { bytes, size, wanted: N, found })
}

#[inline(always)]
pub(super) fn recv_from<'b>(
    fd: BorrowedFd<'_>,
    known: Known,
    data: &mut [IoSliceMut<'_>],
    control: &'b mut [MaybeUninit<u8>],
    options: RecvOptions<'_>,
) -> Result<(Received, Ancillary<'b>), RecvError> {
    let data = match known {
        Some(Kind::Stream) if data.len() > PIECES_MAX => data.split_at_mut(PIECES_MAX).0,
        _ => data,
    };
    let RecvOptions { from, flags, lossy } = options;
    let control = if flags & PEEK == 0 { control } else { &mut [] };
    let control_room = control.len();
    let data_room = received_len(data);
    let incoming = match receive(fd, data, control, from, flags) {
        Ok(incoming) => incoming,
        Err(errno) => return Err(RecvError::Kernel(errno)),
    };
    let Incoming { size, flags: answer, arrived } = incoming;
    let (mut end, mut truncation) = (false, None);
    if answer & CTRUNC != 0 || size == 0 {
        let lossy = lossy || flags & PEEK != 0;
        let question = Question { fd, known, size, data_room, control_room, lossy };
        match judge(question, answer & CTRUNC != 0, arrived.iter()) {
            Verdict::Whole => {}
            Verdict::End => end = true,
            Verdict::Lossy(cause) => truncation = Some(cause),
            Verdict::Refuse(cause) => return Err(truncated(size, data_room, arrived, cause)),
        }
    }
    Ok((Received::new(size, data_room), Ancillary::new(arrived, truncation, end)))
}

/// What must be known to judge a receive that gave no data, or not all control messages.
struct Question<'a> {
    fd: BorrowedFd<'a>,
    known: Known,
    size: usize,
    data_room: usize,
    control_room: usize,
    lossy: bool,
}

enum Verdict {
    /// All is there.
    Whole,
    /// It is the end of a stream, and the credentials are nobody's.
    End,
    /// Control messages are missing, and that will do.
    Lossy(Truncation),
    /// Control messages are missing.
    Refuse(Truncation),
}

#[cold]
#[inline(never)]
fn judge(question: Question<'_>, truncated: bool, messages: Messages<'_>) -> Verdict {
    let Question { fd, known, size, data_room, control_room, lossy } = question;
    // The end of a stream has nothing to lose. A socket that will not say what it is gets the answer
    // that believes less.
    let may_be_end = size == 0 && data_room > 0 && (truncated || !messages.is_empty());
    if may_be_end && is_stream(fd, known).unwrap_or(true) {
        Verdict::End
    } else if !truncated {
        Verdict::Whole
    } else if lossy {
        Verdict::Lossy(cause(messages, control_room))
    } else {
        Verdict::Refuse(cause(messages, control_room))
    }
}

#[cold]
#[inline(never)]
fn truncated(size: usize, data_room: usize, arrived: Arrived<'_>, cause: Truncation) -> RecvError {
    let Received { bytes, size } = Received::new(size, data_room);
    RecvError::ControlTruncated { bytes, size, closed: arrived.close(), cause }
}

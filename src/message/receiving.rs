//! How data with control messages is received, and what is missing then.

use core::mem::MaybeUninit;

use super::{Known, RecvOptions, is_stream};
use crate::ancillary::{Ancillary, Fds, cause};

use crate::error::{RecvError, Truncation};
use crate::socket::{Received, Waiting};
use crate::sys::control::{Arrived, LEVEL, Messages};
use crate::sys::fds::FdsRoom;
use crate::sys::msg::{
    CTRUNC, Incoming, PEEK, PIECES_MAX, receive, receive_in_turns, received_len,
};
use crate::sys::socket::Kind;
use crate::wire::cmsg::{FDS_MAX, SCM_CREDENTIALS, UCRED_LEN};
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
        let question = Question { fd, known, size, data_room, control_room };
        if let Some(cause) = judge(question, true, arrived.iter()).missing {
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
    let RecvOptions { from, flags, lossy, deadline } = options;
    let control = if flags & PEEK == 0 { control } else { &mut [] };
    let control_room = control.len();
    let data_room = received_len(data);
    let incoming = match deadline {
        None => receive(fd, data, control, from, flags),
        Some(deadline) => {
            let mut waiting = Waiting::to_receive(fd, deadline);
            receive_in_turns(fd, data, control, from, flags, &mut || waiting.once_more())
        }
    };
    let incoming = match incoming {
        Ok(incoming) => incoming,
        Err(errno) => return Err(RecvError::Kernel(errno)),
    };
    let Incoming { size, flags: answer, arrived } = incoming;
    let (mut end, mut truncation) = (false, None);
    if answer & CTRUNC != 0 || size == 0 {
        let lossy = lossy || flags & PEEK != 0;
        let question = Question { fd, known, size, data_room, control_room };
        let verdict = judge(question, answer & CTRUNC != 0, arrived.iter());
        match verdict.missing {
            Some(cause) if !lossy => return Err(truncated(size, data_room, arrived, cause)),
            missing => (end, truncation) = (verdict.end, missing),
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
}

pub(super) struct Verdict {
    /// Whether it is the end of a stream, and the credentials are nobody's.
    pub(super) end: bool,
    /// Why control messages are missing, if any are.
    pub(super) missing: Option<Truncation>,
}

#[cold]
#[inline(never)]
fn judge(question: Question<'_>, truncated: bool, messages: Messages<'_>) -> Verdict {
    let Question { fd, known, size, data_room, control_room } = question;
    let may_be_end = size == 0 && (truncated || !messages.is_empty());
    // A socket that will not say what it is gets the answer that believes less.
    let may_be_end = may_be_end && is_stream(fd, known).unwrap_or(true);
    verdict(may_be_end, data_room, control_room, truncated, messages)
}

/// Judges what may be the end of a stream, or lacks control messages.
pub(super) fn verdict(
    may_be_end: bool,
    data_room: usize,
    control_room: usize,
    truncated: bool,
    mut messages: Messages<'_>,
) -> Verdict {
    if may_be_end && data_room > 0 {
        // There is nothing to lose.
        return Verdict { end: true, missing: None };
    }
    let missing = truncated.then(|| cause(messages.clone(), control_room));
    // A receive of nothing is not told from the end but by credentials that are all zeros. Root in a
    // process that this one cannot see has those too: to be taken for nobody does it less harm than
    // nobody could do as root.
    let end = may_be_end
        && messages.any(|(header, payload)| {
            header.is(LEVEL, SCM_CREDENTIALS) && payload == [0; UCRED_LEN]
        });
    Verdict { end, missing }
}

#[cold]
#[inline(never)]
pub(super) fn truncated(
    size: usize,
    data_room: usize,
    arrived: Arrived<'_>,
    cause: Truncation,
) -> RecvError {
    let Received { bytes, size } = Received::new(size, data_room);
    RecvError::ControlTruncated { bytes, size, closed: arrived.close(), cause }
}

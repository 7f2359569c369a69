//! From message to message and from slot to slot.

use core::mem::MaybeUninit;
use core::{fmt, ptr};

use heapless::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};

use super::{Bytes, LEVEL};
use crate::sys::fd::{adopt, lend};
use crate::sys::fds::extend;
use crate::wire::cmsg::{HEADER_LEN, Header, INT_LEN, SCM_PIDFD, SCM_RIGHTS};

/// Where the slots begin and end of the first `SCM_RIGHTS` message whose slots are behind `end`.
///
/// # Safety
///
/// INVARIANT written must hold.
#[cold]
pub(super) unsafe fn find_rights(messages: &Bytes, end: usize) -> Option<(usize, usize)> {
    let (mut at, mut rest) = (0usize, messages);
    // SAFETY: INVARIANT written.
    while let Some((header, _, behind)) = unsafe { split_first(rest) } {
        let payload = at.wrapping_add(HEADER_LEN);
        if header.is(LEVEL, SCM_RIGHTS) && payload > end {
            return Some((payload, payload.wrapping_add(header.payload_len & !(INT_LEN - 1))));
        }
        at = at.wrapping_add(header.space());
        rest = behind?;
    }
    None
}

/// Moves the descriptors of `SCM_RIGHTS` into `fds`, and closes all others; the answer is how many
/// found no room, and were closed.
///
/// # Safety
///
/// INVARIANT written and INVARIANT owned must hold, and nobody may look at them again.
#[inline(never)]
pub(super) unsafe fn extend_from_all<const N: usize>(
    fds: &mut Vec<OwnedFd, N>,
    messages: &Bytes,
) -> usize {
    let mut surplus: usize = 0;
    let mut rest = Some(messages);
    while let Some(messages) = rest {
        // SAFETY: INVARIANT written.
        let Some((header, slots, behind)) = (unsafe { split_first(messages) }) else { break };
        rest = behind;
        if header.is(LEVEL, SCM_RIGHTS) {
            // SAFETY: the caller's promise.
            surplus = surplus.wrapping_add(unsafe { extend(fds, slots) });
        } else if header.is(LEVEL, SCM_PIDFD) {
            // SAFETY: the caller's promise.
            unsafe { close_slots(slots) };
        }
    }
    surplus
}

/// Closes all descriptors that are there, and says how many were of `SCM_RIGHTS`.
///
/// # Safety
///
/// INVARIANT written and INVARIANT owned must hold, and nobody may look at them again.
#[inline(never)]
pub(super) unsafe fn close_all(messages: &Bytes) -> usize {
    let mut closed: usize = 0;
    let mut rest = Some(messages);
    while let Some(messages) = rest {
        // SAFETY: INVARIANT written.
        let Some((header, payload, behind)) = (unsafe { split_first(messages) }) else { break };
        rest = behind;
        if header.level == LEVEL && matches!(header.kind, SCM_RIGHTS | SCM_PIDFD) {
            // SAFETY: the caller's promise.
            let count = unsafe { close_slots(payload) };
            if header.kind == SCM_RIGHTS {
                closed = closed.wrapping_add(count);
            }
        }
    }
    closed
}

/// Closes the descriptors in the slots of one message, and says how many there were.
///
/// # Safety
///
/// As `close_all`.
unsafe fn close_slots(slots: &Bytes) -> usize {
    let (mut slots, mut closed) = (slots, 0usize);
    while let Some((slot, after)) = slots.split_first_chunk() {
        slots = after;
        // SAFETY: the caller's promise.
        if unsafe { own_slot(slot) }.is_ok() {
            closed = closed.wrapping_add(1);
        }
    }
    closed
}

/// The messages of a `Control`, to be read.
#[derive(Clone)]
pub(crate) struct Messages<'a> {
    /// INVARIANT written of `Arrived`.
    pub(super) rest: &'a Bytes,
}

impl<'a> Messages<'a> {
    /// The messages in any bytes. Nothing in them is owned: the numbers of descriptors are numbers.
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        // SAFETY: a byte that may be unwritten is as large as one, and asks for less.
        Self { rest: unsafe { &*(ptr::from_ref(bytes) as *const Bytes) } }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = (Header, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(Header, &'a [u8])> {
        // SAFETY: INVARIANT written.
        let (header, payload, behind) = unsafe { split_first(self.rest) }?;
        self.rest = behind.unwrap_or_default();
        // SAFETY: INVARIANT written; and a byte is as large as one that may be unwritten.
        Some((header, unsafe { &*(ptr::from_ref(payload) as *const [u8]) }))
    }
}

impl fmt::Debug for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Lends the descriptors of `SCM_RIGHTS` that nobody has taken yet.
#[derive(Clone, Debug)]
pub(crate) struct Rights<'a> {
    /// INVARIANT rights: of a message that is `SCM_RIGHTS`, of a `Control` that is borrowed.
    pub(super) slots: &'a [u8],
    pub(super) rest: Messages<'a>,
}

impl Rights<'_> {
    /// How many there are.
    #[inline]
    pub(crate) fn len(self) -> usize {
        let mut count: usize = 0;
        for _ in self {
            count = count.wrapping_add(1);
        }
        count
    }
}

impl<'a> Iterator for Rights<'a> {
    type Item = BorrowedFd<'a>;

    #[inline]
    fn next(&mut self) -> Option<BorrowedFd<'a>> {
        loop {
            if let Some((slot, after)) = self.slots.split_first_chunk() {
                self.slots = after;
                let number = i32::from_ne_bytes(*slot);
                if number >= 0 {
                    // SAFETY: INVARIANT owned: open as long as the `Control`, which is borrowed,
                    // has it; and not negative.
                    return Some(unsafe { lend(number) });
                }
                continue;
            }
            let (header, payload) = self.rest.next()?;
            if header.is(LEVEL, SCM_RIGHTS) {
                self.slots = payload;
            }
        }
    }
}

/// Splits the first message off: its header, its payload, and what is behind its padding, if
/// there is anything.
///
/// # Safety
///
/// They must be the messages of an `Arrived` or a `Control`, from any header on.
#[inline]
pub(super) unsafe fn split_first(messages: &Bytes) -> Option<(Header, &Bytes, Option<&Bytes>)> {
    let (header, payload) = messages.split_first_chunk()?;
    // SAFETY: INVARIANT written.
    let header = Header::decode(&unsafe { written(header) }, payload.len())?;
    let behind =
        if header.space() < messages.len() { messages.get(header.space()..) } else { None };
    Some((header, payload.get(..header.payload_len)?, behind))
}

/// Bytes that have been written.
///
/// # Safety
///
/// They must have been.
#[inline]
pub(super) const unsafe fn written<const N: usize>(bytes: &[MaybeUninit<u8>; N]) -> [u8; N] {
    // SAFETY: the caller's promise; and a byte is as large as one that may be unwritten.
    unsafe { *ptr::from_ref(bytes).cast() }
}

/// What stands in a slot whose descriptor was taken: no negated errno.
pub(super) const TAKEN: i32 = i32::MIN;

/// Takes the descriptor out of a slot. The error is the negative number that is there instead.
///
/// # Safety
///
/// It must be a slot of a message that is `SCM_RIGHTS` or `SCM_PIDFD`, of an owner that is borrowed as
/// long as the slot.
#[inline]
pub(super) unsafe fn take_slot(slot: &mut [MaybeUninit<u8>; INT_LEN]) -> Result<OwnedFd, i32> {
    // SAFETY: the caller's promise; and from here on the slot holds none.
    let fd = unsafe { own_slot(slot) }?;
    *slot = TAKEN.to_ne_bytes().map(MaybeUninit::new);
    Ok(fd)
}

/// The descriptor in a slot. The error is the negative number that is there instead.
///
/// # Safety
///
/// As [`take_slot`], and nobody may look at the slot again.
#[inline]
pub(in crate::sys) unsafe fn own_slot(slot: &[MaybeUninit<u8>; INT_LEN]) -> Result<OwnedFd, i32> {
    // SAFETY: INVARIANT written.
    let number = i32::from_ne_bytes(unsafe { written(slot) });
    let Ok(raw) = usize::try_from(number) else { return Err(number) };
    // SAFETY: INVARIANT owned, and only this one is told of it.
    unsafe { adopt(raw) }.map_err(|_| number)
}

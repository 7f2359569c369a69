//! Control messages that were received, and who owns the descriptors in them.

use core::mem::{ManuallyDrop, MaybeUninit, take};
use core::ptr;

use linux_raw_sys::net;
use rustix::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use rustix::io::Errno;

use super::errno::errno;
use super::fd::adopt;
use crate::wire::cmsg::{Header, INT_LEN, SCM_PIDFD, SCM_RIGHTS, decode_int};

/// The level of the messages that the kernel makes for these sockets.
pub(crate) const LEVEL: i32 = net::SOL_SOCKET.cast_signed();
pub(crate) const SCM_INQ: i32 = net::SCM_INQ.cast_signed();

/// Control messages, and the descriptors in them that nobody has taken yet: those are closed on
/// drop.
///
/// INVARIANT written: a header that is reached from the start by [`Header::decode`] and
/// [`Header::padding`] has been written, and so has its payload. Padding need not have been.
///
/// INVARIANT owned: each slot of an `SCM_RIGHTS` or `SCM_PIDFD` message holds a descriptor that
/// belongs to this value alone, or a negative number.
#[derive(Debug)]
pub(crate) struct Control<'b> {
    messages: &'b mut [MaybeUninit<u8>],
}

impl<'b> Control<'b> {
    /// The messages that the kernel has written to the first `len` bytes.
    ///
    /// # Safety
    ///
    /// INVARIANT written and INVARIANT owned must hold for those bytes.
    #[inline]
    pub(super) unsafe fn received(buf: &'b mut [MaybeUninit<u8>], len: usize) -> Self {
        let (messages, _) = buf.split_at_mut_checked(len).unwrap_or_default();
        Self { messages }
    }

    /// Plays the kernel: the messages that a receiver finds in `buf` where `sent` was sent. In each
    /// slot for a descriptor whose number was not negative is what `install` gives for it, and
    /// `-EMFILE` where that is none. Padding is left as it was. For tests and fuzzing.
    pub(crate) fn installed(
        buf: &'b mut [MaybeUninit<u8>],
        sent: &[u8],
        mut install: impl FnMut(i32) -> Option<OwnedFd>,
    ) -> Self {
        const NO_ROOM: i32 = Errno::MFILE.raw_os_error().wrapping_neg();
        let (sent, _) = sent.split_at_checked(buf.len()).unwrap_or((sent, &[]));
        let (mut to, _) = buf.split_at_mut_checked(sent.len()).unwrap_or_default();
        let mut walked: usize = 0;
        for (header, payload) in Messages::of(sent) {
            let Some((to_header, behind)) = take(&mut to).split_first_chunk_mut() else { break };
            *to_header = header.encode().map(MaybeUninit::new);
            let Some((to_payload, behind)) = behind.split_at_mut_checked(payload.len()) else {
                break;
            };
            write(to_payload, payload);
            if header.is(LEVEL, SCM_RIGHTS) || header.is(LEVEL, SCM_PIDFD) {
                for (to, slot) in to_payload.chunks_exact_mut(INT_LEN).zip(payload.chunks(INT_LEN))
                {
                    if let Some(number) = decode_int(slot).filter(|number| *number >= 0) {
                        let number = install(number).map_or(NO_ROOM, OwnedFd::into_raw_fd);
                        write(to, &number.to_ne_bytes());
                    }
                }
            }
            (_, to) = behind.split_at_mut_checked(header.padding()).unwrap_or_default();
            walked = sent.len().saturating_sub(to.len());
        }
        // What the walk ends at is looked at, to find that it is no message.
        write(to, sent.get(walked..).unwrap_or_default());
        // SAFETY:
        // - INVARIANT written: only padding was left out.
        // - INVARIANT owned: the slots hold what `install` gave away, and negative numbers.
        unsafe { Self::received(buf, sent.len()) }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages, in the order that the kernel wrote them in.
    #[inline]
    pub(crate) const fn iter(&self) -> Messages<'_> {
        Messages { rest: self.messages }
    }

    /// The descriptors of `SCM_RIGHTS` that nobody has taken yet, in order.
    #[inline]
    pub(crate) fn rights(&self) -> impl Iterator<Item = BorrowedFd<'_>> + Clone {
        self.iter()
            .filter(|(header, _)| header.is(LEVEL, SCM_RIGHTS))
            .flat_map(|(_, slots)| slots.chunks_exact(INT_LEN))
            .filter_map(|slot| decode_int(slot).filter(|number| *number >= 0))
            // SAFETY: INVARIANT owned: open as long as this value, which is borrowed, has it.
            .map(|number| unsafe { BorrowedFd::borrow_raw(number) })
    }

    /// Takes the descriptors of `SCM_RIGHTS`, in order, each as the iterator is asked for it.
    #[inline]
    pub(crate) const fn take_rights(&mut self) -> Slots<'_> {
        Slots::new(self.messages, false)
    }

    /// Takes the descriptors of `SCM_RIGHTS` and closes those of `SCM_PIDFD`, in one walk.
    #[inline]
    pub(crate) fn into_rights(self, mut each: impl FnMut(OwnedFd)) {
        // Nothing is left for `drop` to look for.
        let mut control = ManuallyDrop::new(self);
        let mut slots = Slots::new(control.messages, true);
        while let Some(fd) = slots.next() {
            if slots.kind == SCM_RIGHTS {
                each(fd);
            }
        }
    }

    /// Takes the pidfd; or the errno that stands in its place where the kernel could make none.
    #[inline]
    pub(crate) fn take_pidfd(&mut self) -> Result<Option<OwnedFd>, Errno> {
        let mut rest = &mut *self.messages;
        while let Some((header, payload)) = next_message(&mut rest) {
            if let (true, Some(slot)) = (header.is(LEVEL, SCM_PIDFD), payload.first_chunk_mut()) {
                // SAFETY: a slot of such a message.
                return match unsafe { take_slot(slot) } {
                    Ok(fd) => Ok(Some(fd)),
                    Err(TAKEN) => Ok(None),
                    Err(number) => Err(errno(number.wrapping_neg()).unwrap_or(Errno::PROTO)),
                };
            }
        }
        Ok(None)
    }
}

impl Drop for Control<'_> {
    #[inline]
    fn drop(&mut self) {
        Slots::new(self.messages, true).for_each(drop);
    }
}

/// Descriptors, taken out of their messages one by one; one that was not asked for stays.
#[derive(Debug)]
pub(crate) struct Slots<'a> {
    /// What is left of the message that is being taken from. INVARIANT slots: of a message that is
    /// `SCM_RIGHTS` or `SCM_PIDFD`, of a [`Control`] that is borrowed for `'a`.
    slots: &'a mut [MaybeUninit<u8>],
    /// The type of that message.
    kind: i32,
    /// The messages behind it. INVARIANT rest: as those of a `Control`.
    rest: &'a mut [MaybeUninit<u8>],
    pidfds: bool,
}

impl<'a> Slots<'a> {
    /// `messages` must be those of a [`Control`].
    #[inline]
    const fn new(messages: &'a mut [MaybeUninit<u8>], pidfds: bool) -> Self {
        Self { slots: &mut [], kind: 0, rest: messages, pidfds }
    }
}

impl Iterator for Slots<'_> {
    type Item = OwnedFd;

    #[inline]
    fn next(&mut self) -> Option<OwnedFd> {
        loop {
            if let Some((slot, after)) = take(&mut self.slots).split_first_chunk_mut() {
                self.slots = after;
                // SAFETY: INVARIANT slots.
                if let Ok(fd) = unsafe { take_slot(slot) } {
                    return Some(fd);
                }
                continue;
            }
            let (header, payload) = next_message(&mut self.rest)?;
            if header.is(LEVEL, SCM_RIGHTS) || self.pidfds && header.is(LEVEL, SCM_PIDFD) {
                self.kind = header.kind;
                self.slots = payload;
            }
        }
    }
}

/// The messages of a [`Control`], to be read.
#[derive(Clone, Debug)]
pub(crate) struct Messages<'a> {
    /// INVARIANT written of [`Control`].
    rest: &'a [MaybeUninit<u8>],
}

impl<'a> Messages<'a> {
    /// The messages in any bytes. Nothing in them is owned: the numbers of descriptors are numbers.
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        // SAFETY: a byte that may be unwritten is as large as one, and asks for less.
        Self { rest: unsafe { &*(ptr::from_ref(bytes) as *const [MaybeUninit<u8>]) } }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = (Header, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(Header, &'a [u8])> {
        let (header, behind) = take(&mut self.rest).split_first_chunk()?;
        // SAFETY: INVARIANT written.
        let header = Header::decode(&unsafe { written(header) }, behind.len())?;
        let (payload, behind) = behind.split_at_checked(header.payload_len)?;
        (_, self.rest) = behind.split_at_checked(header.padding()).unwrap_or_default();
        // SAFETY: INVARIANT written; and a byte is as large as one that may be unwritten.
        Some((header, unsafe { &*(ptr::from_ref(payload) as *const [u8]) }))
    }
}

/// Splits the first message off, of a [`Control`]'s; its payload may be changed.
#[inline]
fn next_message<'a>(
    rest: &mut &'a mut [MaybeUninit<u8>],
) -> Option<(Header, &'a mut [MaybeUninit<u8>])> {
    let (header, behind) = take(rest).split_first_chunk_mut()?;
    // SAFETY: INVARIANT written.
    let header = Header::decode(&unsafe { written(header) }, behind.len())?;
    let (payload, behind) = behind.split_at_mut_checked(header.payload_len)?;
    (_, *rest) = behind.split_at_mut_checked(header.padding()).unwrap_or_default();
    Some((header, payload))
}

/// Writes as many bytes as there are.
fn write(to: &mut [MaybeUninit<u8>], bytes: &[u8]) {
    for (to, byte) in to.iter_mut().zip(bytes) {
        *to = MaybeUninit::new(*byte);
    }
}

/// Bytes that have been written.
///
/// # Safety
///
/// They must have been.
#[inline]
const unsafe fn written<const N: usize>(bytes: &[MaybeUninit<u8>; N]) -> [u8; N] {
    // SAFETY: the caller's promise; and a byte is as large as one that may be unwritten.
    unsafe { *ptr::from_ref(bytes).cast() }
}

/// What stands in a slot whose descriptor was taken: no negated errno.
const TAKEN: i32 = i32::MIN;

/// Takes the descriptor out of a slot. The error is the negative number that is there instead.
///
/// # Safety
///
/// It must be a slot of a message that is `SCM_RIGHTS` or `SCM_PIDFD` of a [`Control`] that is
/// borrowed as long as the slot.
#[inline]
unsafe fn take_slot(slot: &mut [MaybeUninit<u8>; INT_LEN]) -> Result<OwnedFd, i32> {
    // SAFETY: INVARIANT written.
    let number = i32::from_ne_bytes(unsafe { written(slot) });
    let Ok(raw) = usize::try_from(number) else { return Err(number) };
    *slot = TAKEN.to_ne_bytes().map(MaybeUninit::new);
    // SAFETY: INVARIANT owned; and from here on the slot holds none.
    unsafe { adopt(raw) }.map_err(|_| number)
}

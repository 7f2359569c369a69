//! Control messages without a kernel, for tests and fuzzing.

use core::mem::{MaybeUninit, take};

use rustix::fd::{IntoRawFd, OwnedFd};
use rustix::io::Errno;

use super::{Arrived, LEVEL, Messages};
use crate::wire::cmsg::{INT_LEN, SCM_PIDFD, SCM_RIGHTS, decode_int, padding_behind};

impl<'b> Arrived<'b> {
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
            (_, to) =
                behind.split_at_mut_checked(padding_behind(payload.len())).unwrap_or_default();
            walked = sent.len().saturating_sub(to.len());
        }
        // What the walk ends at is looked at, to find that it is no message.
        write(to, sent.get(walked..).unwrap_or_default());
        // SAFETY:
        // - INVARIANT written: only padding was left out.
        // - INVARIANT owned: the slots hold what `install` gave away, and negative numbers.
        unsafe { Self::new(buf, sent.len()) }
    }
}

/// Writes as many bytes as there are.
fn write(to: &mut [MaybeUninit<u8>], bytes: &[u8]) {
    for (to, byte) in to.iter_mut().zip(bytes) {
        *to = MaybeUninit::new(*byte);
    }
}

//! Who owns the descriptors in control messages, without a kernel that sends them: so Miri runs all
//! of this, and would see a read of padding that nobody wrote.

use core::mem::{MaybeUninit, size_of};
use core::ptr::null_mut;
use std::io::Read;
use std::vec;
use std::vec::Vec;

use heapless::Vec as Fixed;
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, dup};

use crate::ancillary::{Ancillary, AncillaryBuf, cause};
use crate::cred::Credentials;
use crate::sys::control::{Arrived, Control, LEVEL, Messages};
use crate::sys::msg::{self, CTRUNC, receive_into};
use crate::wire::cmsg::{
    HEADER_LEN, Header, SCM_CREDENTIALS, SCM_PIDFD, SCM_RIGHTS, UCRED_LEN, encode_ucred,
    padding_behind,
};
use crate::wire::tests::numbers;

/// A pipe, which tells when the last descriptor that may write to it is closed.
pub(super) struct Pipe {
    reader: std::io::PipeReader,
    writer: OwnedFd,
}

impl Pipe {
    pub(super) fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let raw = std::os::fd::IntoRawFd::into_raw_fd(writer);
        // SAFETY: std has just given it away.
        let writer = unsafe { OwnedFd::from_raw_fd(raw) };
        Self { reader, writer }
    }

    /// Another descriptor that may write.
    pub(super) fn copy(&self) -> OwnedFd {
        dup(&self.writer).unwrap()
    }

    #[track_caller]
    pub(super) fn assert_closed(self) {
        let Self { mut reader, writer } = self;
        drop(writer);
        if !cfg!(miri) {
            let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
            let mut poll = libc::pollfd { fd, events: 0, revents: 0 };
            // SAFETY: it is one.
            assert_eq!(unsafe { libc::poll(&mut poll, 1, 0) }, 1, "a descriptor is left open");
        }
        // Miri has no hang-up, but calls waiting for ever an error.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
}

/// A message and its padding.
fn message(kind: i32, payload: &[u8]) -> Vec<u8> {
    let header = Header { level: LEVEL, kind, payload_len: payload.len() };
    let mut bytes = header.encode().to_vec();
    bytes.extend(payload);
    bytes.resize(header.space(), 0xee);
    bytes
}

pub(super) fn slots(kind: i32, numbers: &[i32]) -> Vec<u8> {
    let payload: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    message(kind, &payload)
}

/// All that is left of `SCM_RIGHTS`.
fn take_all(control: &mut Control<'_>) -> Vec<OwnedFd> {
    control.take_rights().collect()
}

/// Room for messages, none of it written.
pub(super) fn room() -> [MaybeUninit<u8>; 512] {
    [MaybeUninit::uninit(); 512]
}

#[test]
fn padding_that_nobody_wrote_is_not_read() {
    let pipe = Pipe::new();
    for last in [8, 4, 0] {
        let sent = [
            message(SCM_CREDENTIALS, &encode_ucred(1, 2, 3)),
            slots(SCM_RIGHTS, &[0]),
            message(99, b"x"),
            slots(SCM_PIDFD, &[0]),
            message(99, b"12345")[..HEADER_LEN + 5 + last.min(padding_behind(5))].to_vec(),
        ]
        .concat();
        let mut buf = room();
        let arrived = Arrived::installed(&mut buf, &sent, |_| Some(pipe.copy()));
        let kinds: Vec<i32> = arrived.iter().map(|(header, _)| header.kind).collect();
        assert_eq!(kinds, [SCM_CREDENTIALS, SCM_RIGHTS, 99, SCM_PIDFD, 99]);
        let mut ancillary = Ancillary::new(arrived, None, false);
        assert_eq!(ancillary.credentials(), Some(Credentials::decode(encode_ucred(1, 2, 3))));
        let unknown: Vec<&[u8]> = ancillary.unknown().map(|message| message.payload).collect();
        assert_eq!(unknown, [&b"x"[..], b"12345"]);
        assert_eq!(ancillary.fds().count(), 1);
        assert_eq!(ancillary.take_fds().count(), 1);
        assert!(ancillary.take_pidfd().unwrap().is_some());
        assert!(ancillary.take_pidfd().unwrap().is_none());
    }
    pipe.assert_closed();
}

#[test]
fn a_receive_lets_the_kernel_write_to_memory_that_it_may_look_at_after() {
    let mut buf = room();
    let mut header = msg::Header::new(null_mut(), 0);
    let sent = message(SCM_CREDENTIALS, &encode_ucred(1, 2, 3));
    let call = |header: &mut msg::Header| {
        assert!(sent.len() <= header.control_len);
        // SAFETY: there is room for so many, as the header says.
        unsafe { header.control.cast::<u8>().copy_from(sent.as_ptr(), sent.len()) };
        header.control_len = sent.len();
        header.flags = MaybeUninit::new(CTRUNC);
        Ok(5)
    };
    // SAFETY: that is what the kernel does, and there are no descriptors.
    let incoming = unsafe { receive_into(&mut header, &mut buf, call) }.unwrap();
    assert_eq!((incoming.size, incoming.flags), (5, CTRUNC));
    assert_eq!(incoming.arrived.sort().credentials(), Some(encode_ucred(1, 2, 3)));
}

#[test]
fn what_is_left_at_the_end_is_no_message_and_not_read_beyond() {
    let whole = message(99, b"1234");
    for slack in numbers(HEADER_LEN + 2) {
        let sent = [&whole[..], &vec![0; slack]].concat();
        let mut buf = room();
        let arrived = Arrived::installed(&mut buf, &sent, |_| None);
        assert_eq!(arrived.iter().count(), 1, "{slack}");
        assert_eq!(Messages::of(&sent).count(), 1, "{slack}");
    }
    for len in numbers(whole.len()) {
        let mut buf = room();
        let arrived = Arrived::installed(&mut buf, &whole[..len], |_| None);
        assert_eq!(arrived.iter().is_empty(), len == 0);
        assert_eq!(arrived.iter().count(), usize::from(len >= HEADER_LEN + 4), "{len}");
    }
}

#[test]
fn a_buffer_that_is_too_small_has_as_much_as_fits() {
    let pipe = Pipe::new();
    let sent = [slots(SCM_RIGHTS, &[0, 0]), slots(SCM_RIGHTS, &[0])].concat();
    for len in numbers(sent.len() + 2) {
        let mut buf = vec![MaybeUninit::uninit(); len];
        let control = Arrived::installed(&mut buf, &sent, |_| Some(pipe.copy())).sort();
        let fits =
            usize::from(len >= HEADER_LEN + 8) * 2 + usize::from(len >= 2 * HEADER_LEN + 8 + 4);
        assert_eq!(control.rights().count(), fits, "{len}");
    }
    pipe.assert_closed();
}

#[test]
fn negative_numbers_are_no_descriptors() {
    let pipe = Pipe::new();
    let sent = [
        slots(SCM_RIGHTS, &[-1, 7, i32::MIN, -24]),
        slots(SCM_PIDFD, &[-1]),
        slots(SCM_RIGHTS, &[-9]),
        slots(SCM_RIGHTS, &[]),
        slots(SCM_RIGHTS, &[7]),
    ]
    .concat();
    let mut buf = room();
    let install = |number| {
        assert_eq!(number, 7);
        Some(pipe.copy())
    };
    let mut control = Arrived::installed(&mut buf, &sent, install).sort();
    assert_eq!(control.rights().count(), 2);
    assert_eq!(take_all(&mut control).len(), 2);
    assert_eq!(take_all(&mut control).len(), 0);
    drop(control);
    pipe.assert_closed();
}

#[test]
fn each_descriptor_is_taken_once_and_the_rest_is_closed() {
    const ALL: usize = 5;
    let sent = [slots(SCM_RIGHTS, &[0, 0]), slots(SCM_RIGHTS, &[0, 0, 0])].concat();
    for taken in (0..=ALL).filter(|taken| !cfg!(miri) || [0, 2, 3].contains(taken)) {
        let pipe = Pipe::new();
        let mut buf = room();
        let mut control = Arrived::installed(&mut buf, &sent, |_| Some(pipe.copy())).sort();
        let all: Vec<i32> = control.rights().map(|fd| fd.as_raw_fd()).collect();
        assert_eq!(all.len(), ALL);
        let first: Vec<OwnedFd> = control.take_rights().take(taken).collect();
        assert!(first.iter().map(AsRawFd::as_raw_fd).eq(all[..taken].iter().copied()));
        assert!(control.rights().map(|fd| fd.as_raw_fd()).eq(all[taken..].iter().copied()));
        if taken % 2 == 0 {
            drop(control);
        } else {
            let rest = take_all(&mut control);
            assert!(rest.iter().map(AsRawFd::as_raw_fd).eq(all[taken..].iter().copied()));
        }
        drop(first);
        pipe.assert_closed();
    }
}

#[test]
fn the_pidfd_is_closed_with_the_rest_and_not_given_out_as_one_that_was_sent() {
    let sent = [slots(SCM_PIDFD, &[0]), slots(SCM_RIGHTS, &[0]), slots(SCM_PIDFD, &[0])].concat();
    for way in 0..3 {
        let pipe = Pipe::new();
        let mut buf = room();
        let arrived = Arrived::installed(&mut buf, &sent, |_| Some(pipe.copy()));
        match way {
            0 => {
                let mut control = arrived.sort();
                assert_eq!(control.rights().count(), 1);
                assert_eq!(take_all(&mut control).len(), 1);
            }
            1 => {
                let mut fds = Fixed::<OwnedFd, 4>::new();
                assert_eq!((arrived.into_rights(&mut fds), fds.len()), (0, 1));
            }
            _ => assert_eq!(arrived.close(), 1),
        }
        pipe.assert_closed();
    }
}

#[test]
fn descriptors_that_no_kernel_is_known_to_write_are_closed_where_all_others_were_taken() {
    let two = [slots(SCM_PIDFD, &[0]), slots(SCM_PIDFD, &[0])].concat();
    let odd = slots(SCM_PIDFD, &[0, 0]);
    let odd_first = [&odd[..], &slots(SCM_PIDFD, &[0])].concat();
    for (sent, comes) in [(two, true), (odd, false), (odd_first, true)] {
        let pipe = Pipe::new();
        let mut buf = room();
        let mut control = Arrived::installed(&mut buf, &sent, |_| Some(pipe.copy())).sort();
        assert_eq!(control.take_pidfd().unwrap().is_some(), comes);
        assert_eq!(take_all(&mut control).len(), 0);
        drop(control);
        pipe.assert_closed();
    }
}

#[test]
fn take_pidfd_says_what_the_kernel_put_in_its_place() {
    let take = |sent: &[u8]| {
        let mut buf = room();
        let mut control = Arrived::installed(&mut buf, sent, |_| None).sort();
        let first = control.take_pidfd().map(|fd| fd.is_some());
        assert_eq!(control.take_pidfd().map(|fd| fd.is_some()), first, "it stays as it is");
        first
    };
    assert_eq!(take(b""), Ok(false));
    assert_eq!(take(&slots(SCM_RIGHTS, &[-24])), Ok(false));
    assert_eq!(take(&message(SCM_PIDFD, b"123")), Ok(false));
    assert_eq!(take(&slots(SCM_PIDFD, &[0])), Err(Errno::MFILE), "nobody installs one");
    for (number, errno) in [(-3, Errno::SRCH), (-24, Errno::MFILE), (-4096, Errno::PROTO)] {
        assert_eq!(take(&slots(SCM_PIDFD, &[number])), Err(errno));
    }
}

#[test]
fn accessors_agree_with_the_rules_on_made_up_bytes() {
    let limit = if cfg!(miri) { 12 } else { 3000 };
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(limit).unwrap()).unwrap()
    };
    for _ in 0..limit {
        let mut sent = Vec::new();
        for _ in 0..below(5) {
            let payload = vec![[0, 1, 0x2a, 0xff][below(4)]; [0, 1, 4, 5, 12, 13][below(6)]];
            let mut message = message([1, 2, 3, 4, 5, 84][below(6)], &payload);
            // The low byte of the length, of the level or of the type, or any other.
            if below(8) == 0 {
                let at = [0, size_of::<usize>(), below(message.len())][below(3)];
                message[at] ^= 1 << below(8);
            }
            sent.extend(message);
        }
        sent.truncate(sent.len() - below(sent.len() + 1) % 9);
        crate::fuzzing::cmsg_accessors(&sent);
    }
}

#[test]
fn messages_come_back_as_they_were_written() {
    let pipes = [Pipe::new(), Pipe::new(), Pipe::new()];
    let pool: Vec<_> = pipes.iter().map(|pipe| pipe.writer.as_fd()).collect();
    let credentials = [4, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
    let parts: [&[u8]; 4] = [&[1, 3, 6, 0, 13, 2], &credentials, &[5, 1], &credentials];
    // Miri takes a second for each.
    let capacities = if cfg!(miri) { vec![150, 53] } else { (0..200).collect() };
    for first in 0..if cfg!(miri) { 1 } else { 4 } {
        for capacity in &capacities {
            let capacity = u16::to_le_bytes(*capacity);
            let mut input = [&capacity[..], &[capacity[0] % 5]].concat();
            for at in 0..6 {
                input.extend(parts[(first + at) % 4]);
            }
            crate::fuzzing::cmsg_round_trip(&input, &pool, |bytes| {
                // SAFETY: all of them were written, which Miri would see.
                unsafe { &*(core::ptr::from_ref(bytes) as *const [u8]) }
            });
        }
    }
    drop(pool);
    pipes.into_iter().for_each(Pipe::assert_closed);
}

#[test]
fn a_writer_leaves_no_byte_unwritten() {
    let pipe = Pipe::new();
    let mut buf = AncillaryBuf::<200>::new();
    let mut writer = buf.writer();
    writer.push_fds(&[pipe.writer.as_fd()]).unwrap();
    let credentials = Credentials::decode(encode_ucred(1, 2, 3));
    writer.push_credentials(credentials).unwrap();
    writer.push_fds(&[pipe.writer.as_fd(); 3]).unwrap();
    // SAFETY: all of them were written, which Miri would see.
    let bytes = unsafe { &*(core::ptr::from_ref(writer.messages()) as *const [u8]) };
    let number = pipe.writer.as_raw_fd();
    let mut wanted = slots(SCM_RIGHTS, &[number]);
    let gap = wanted.len() - padding_behind(4);
    wanted[gap..].fill(0);
    wanted.extend(message(SCM_CREDENTIALS, &encode_ucred(1, 2, 3)));
    let gap = wanted.len() - padding_behind(12);
    wanted[gap..].fill(0);
    wanted.extend(slots(SCM_RIGHTS, &[number; 3]));
    wanted.truncate(wanted.len() - padding_behind(12));
    assert_eq!(bytes, wanted);
}

#[test]
fn credentials_are_whole_or_none() {
    let bytes: Vec<u8> = (1..=16).collect();
    for len in 0..=16 {
        let sent = message(SCM_CREDENTIALS, &bytes[..len]);
        let mut buf = room();
        let control = Arrived::installed(&mut buf, &sent, |_| None).sort();
        let whole = bytes[..UCRED_LEN].try_into().unwrap();
        assert_eq!(control.credentials(), (len == UCRED_LEN).then_some(whole), "{len}");
    }
}

/// Of bytes that a kernel with labels might write: see `Truncation`.
#[test]
fn a_context_that_is_cut_has_filled_the_room() {
    let sent = [message(SCM_CREDENTIALS, &encode_ucred(1, 2, 3)), message(3, b"label")].concat();
    let len = sent.len() - padding_behind(5);
    let reason = cause(Messages::of(&sent[..len]), len);
    assert_eq!(reason, crate::Truncation::BufferFull);
    let reason = cause(Messages::of(&sent), sent.len() + HEADER_LEN + 4);
    assert_eq!(reason, crate::Truncation::NotInstalled);
}

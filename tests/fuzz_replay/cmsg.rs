//! Control messages that are read, and that go there and back.

use crate::{below, caught, planted};

/// A header and its payload, as this machine has it, without padding.
pub fn message(level: i32, kind: i32, payload: &[u8]) -> Vec<u8> {
    let len = size_of::<usize>() + 8 + payload.len();
    [&len.to_ne_bytes()[..], &level.to_ne_bytes(), &kind.to_ne_bytes(), payload].concat()
}

/// Messages one behind the other, each padded but the last.
pub fn messages(list: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for message in list {
        all.resize(all.len().next_multiple_of(size_of::<usize>()), 0xee);
        all.extend(message);
    }
    all
}

pub fn numbers(kind: i32, numbers: impl IntoIterator<Item = i32>) -> Vec<u8> {
    let payload: Vec<u8> = numbers.into_iter().flat_map(i32::to_ne_bytes).collect();
    message(libc::SOL_SOCKET, kind, &payload)
}

/// Each buffer of up to `END` bytes, with a first message of each length and a second one too.
#[test]
fn every_length_of_two_messages_in_every_buffer() {
    const END: usize = 52;
    const WORD: usize = size_of::<usize>();
    let lengths = || (0..=END).chain([usize::MAX, usize::MAX - 7, usize::MAX / 2, 1 << 31]);
    for end in 0..=END {
        for first in lengths() {
            let mut bytes = [1u8; END + WORD];
            bytes[..WORD].copy_from_slice(&first.to_ne_bytes());
            planted::cmsg_walk(&bytes[..end], false);
            let Some(at) = first.checked_next_multiple_of(WORD) else { continue };
            if (16..end).contains(&at) {
                for second in lengths() {
                    bytes[at..at + WORD].copy_from_slice(&second.to_ne_bytes());
                    planted::cmsg_walk(&bytes[..end], false);
                }
            }
        }
    }
}

#[test]
fn made_up_inputs_replay_and_find_the_planted_fault() {
    let mut below = below();
    let walks: Vec<Vec<u8>> = (0..4000)
        .map(|_| {
            let list: Vec<Vec<u8>> = (0..below(4))
                .map(|_| {
                    let payload = vec![[0, 1, 0xff][below(3)]; [0, 1, 4, 8, 12, 13][below(6)]];
                    message([1, 1, 0, 41][below(4)], [1, 2, 3, 4, 5, 84][below(6)], &payload)
                })
                .collect();
            let mut bytes = messages(&list);
            bytes.resize(bytes.len() + [0, 0, 3, 8, 20][below(5)], 0);
            if let (0, Some(byte)) = (below(3), bytes.len().checked_sub(1).map(&mut below)) {
                bytes[byte] = [0, 1, 0xff, 16, 20][below(5)];
            }
            bytes
        })
        .collect();
    let trips: Vec<Vec<u8>> = (0..2000)
        .map(|_| {
            let capacity = u16::try_from([64, 300, 1101][below(3)]).expect("a small number");
            let mut input = capacity.to_le_bytes().to_vec();
            input.extend((0..below(40)).map(|_| [0, 1, 2, 3, 5, 9][below(6)]));
            input
        })
        .collect();
    for (name, body, inputs) in [
        ("cmsg_walk", planted::cmsg_walk as fn(&[u8], bool), walks),
        ("cmsg_round_trip", planted::cmsg_round_trip, trips),
    ] {
        let (caught, count) = caught(body, inputs.iter().map(|input| ((), input.as_slice())));
        println!("{name}: {count} inputs, {} find the fault", caught.len());
        assert!(!caught.is_empty() && caught.len() < count);
    }
}

mod live {
    use std::io;
    use std::mem;

    use afunix::{AsFd, OwnedFd, UnixDatagram, UnixSeqpacket, UnixStream};
    use rustix::fd::AsRawFd;

    use super::{messages, numbers};
    use crate::common::emulated::{CUT, left_out_by_qemu};
    use crate::planted::libc_walk::{HEADER, walk};
    use crate::{Seeds, check_or_write, check_replay, has_words_of_the_seeds, planted};

    #[test]
    fn seeds_replay_and_find_the_planted_fault() {
        if !has_words_of_the_seeds() {
            return;
        }
        check_replay("cmsg_walk", planted::cmsg_walk);
        check_replay("cmsg_round_trip", planted::cmsg_round_trip);
    }

    const CREDENTIALS: u8 = 1;
    const PIDFD: u8 = 2;
    const INQ: u8 = 4;
    const TIME: u8 = 8;

    /// What is asked for, how many descriptors are sent, and how many bytes there is room for.
    const RECEIVED: [(&str, u8, usize, usize); 19] = [
        ("nothing", 0, 0, 64),
        ("fds-1", 0, 1, 64),
        ("fds-1-exact", 0, 1, 20),
        ("fds-1-cut", 0, 9, 23),
        ("fds-2-in-room-of-1", 0, 9, 24),
        ("fds-3-exact", 0, 3, 28),
        ("fds-3-cut", 0, 9, 31),
        ("fds-253", 0, 253, 1100),
        ("credentials", CREDENTIALS, 0, 64),
        ("credentials-exact", CREDENTIALS, 0, 28),
        ("credentials-cut", CREDENTIALS, 0, 22),
        ("credentials-bare", CREDENTIALS, 0, 16),
        ("credentials-fds", CREDENTIALS, 2, 256),
        ("credentials-fds-cut", CREDENTIALS, 5, 57),
        ("pidfd", PIDFD, 0, 64),
        ("pidfd-cut", PIDFD | CREDENTIALS, 0, 51),
        ("bytes-left", INQ, 0, 64),
        ("bytes-left-bare", INQ | CREDENTIALS, 0, 48),
        ("all", CREDENTIALS | PIDFD | INQ | TIME, 3, 256),
    ];

    fn same(_: &str, seed: &[u8], committed: &[u8]) -> bool {
        seed == committed
    }

    #[test]
    fn seeds_are_what_the_kernel_says() {
        let (stream, dgram, seqpacket) = (
            || UnixStream::pair().map(|(a, b)| (a.into(), b.into())),
            || UnixDatagram::pair().map(|(a, b)| (a.into(), b.into())),
            || UnixSeqpacket::pair().map(|(a, b)| (a.into(), b.into())),
        );
        check_or_write("cmsg_round_trip", &round_trips(), same);
        if !has_words_of_the_seeds() || left_out_by_qemu(CUT) {
            return;
        }
        let mut seeds = Seeds::new();
        for (name, asked, fds, room) in RECEIVED {
            // Only streams tell what is left, and only messages when they came.
            let (a, b): (OwnedFd, OwnedFd) = match (asked & INQ, fds % 2) {
                (0, 0) => dgram(),
                (0, _) => seqpacket(),
                _ => stream(),
            }
            .expect("a pair");
            seeds.insert(name.into(), received(&a, &b, asked, fds, room));
        }
        check_or_write("cmsg_walk", &seeds, same);
    }

    fn set(socket: &OwnedFd, option: libc::c_int) {
        let on: libc::c_int = 1;
        let (value, len) = ((&raw const on).cast(), 4);
        let raw = socket.as_raw_fd();
        // SAFETY: an `int`, as long as one.
        let done = unsafe { libc::setsockopt(raw, libc::SOL_SOCKET, option, value, len) };
        assert_eq!(done, 0, "option {option}: {}", io::Error::last_os_error());
    }

    /// What the kernel writes. Numbers of this process are replaced: they are others in each run.
    fn received(a: &OwnedFd, b: &OwnedFd, asked: u8, fds: usize, room: usize) -> Vec<u8> {
        for (bit, option) in
            [(CREDENTIALS, libc::SO_PASSCRED), (PIDFD, 76), (INQ, 84), (TIME, libc::SO_TIMESTAMP)]
        {
            if asked & bit != 0 {
                set(b, option);
            }
        }
        let control = numbers(libc::SCM_RIGHTS, vec![a.as_raw_fd(); fds]);
        let mut data = [0x5a_u8; 3];
        let mut piece = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: 3 };
        // SAFETY: all zeros are a header of nothing.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_iov = &raw mut piece;
        header.msg_iovlen = 1;
        if fds > 0 {
            header.msg_control = control.as_ptr().cast_mut().cast();
            header.msg_controllen = control.len() as _;
        }
        // SAFETY: the data and the control buffer are as long as it says.
        let sent = unsafe { libc::sendmsg(a.as_raw_fd(), &header, 0) };
        assert_eq!(sent, 3, "{}", io::Error::last_os_error());
        // One byte stays, to be counted.
        piece = libc::iovec { iov_len: if asked & INQ != 0 { 2 } else { 3 }, ..piece };
        header.msg_iov = &raw mut piece;
        let mut buf = vec![0xee; room];
        header.msg_control = buf.as_mut_ptr().cast();
        header.msg_controllen = room as _;
        // SAFETY: as above, and all of it can be written.
        let count = unsafe { libc::recvmsg(b.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC) };
        assert!(count >= 2, "{}", io::Error::last_os_error());
        #[allow(clippy::unnecessary_cast)] // It is narrower elsewhere.
        buf.truncate(header.msg_controllen as usize);
        settle(&mut buf);
        buf
    }

    /// Closes what was received, and puts numbers there that are the same in each run.
    fn settle(buf: &mut [u8]) {
        use rustix::fd::FromRawFd;
        let mut found = Vec::new();
        walk(buf, &mut |message| found.push(message));
        for message in found {
            let payload = &mut buf[message.at + HEADER..message.at + message.len];
            let settled = match message.kind {
                libc::SCM_RIGHTS | 4 => {
                    for slot in payload.chunks_exact(4) {
                        let raw = i32::from_ne_bytes(slot.try_into().expect("4 bytes"));
                        // SAFETY: the kernel has just installed it, and nobody else knows of it.
                        drop(unsafe { OwnedFd::from_raw_fd(raw) });
                    }
                    300
                }
                libc::SCM_CREDENTIALS => 42,
                84 => continue,
                _ => 0x1111_1111,
            };
            let settled = i32::to_ne_bytes(settled);
            for (byte, settled) in payload.iter_mut().zip(settled.iter().cycle()) {
                *byte = *settled;
            }
        }
    }

    /// Scripts: a capacity, how many are taken out, and what is sent: one list of descriptors or
    /// credentials behind the other.
    fn round_trips() -> Seeds {
        let script = |capacity: u16, taken: u8, parts: &[&[u8]]| {
            [&capacity.to_le_bytes()[..], &[taken], &parts.concat()].concat()
        };
        let ids: &[u8] = &[0, 42, 0, 0, 0, 42, 0, 0, 0, 42, 0, 0, 0];
        let nobody: &[u8] = &[0, 0, 0, 0, 0, 0xfe, 0xff, 0, 0, 0xfe, 0xff, 0, 0];
        let seeds: [(&str, Vec<u8>); 12] = [
            ("empty", script(0, 0, &[])),
            ("no-room", script(0, 0, &[&[1, 1]])),
            ("fds-none", script(64, 0, &[&[1, 0]])),
            ("fds-1", script(24, 0, &[&[1, 1]])),
            ("fds-1-exact", script(20, 1, &[&[1, 1]])),
            ("fds-253", script(1100, 100, &[&[1, 253]])),
            ("fds-odd-twice", script(64, 1, &[&[1, 1], &[5, 3]])),
            ("fds-odd-twice-no-room", script(43, 1, &[&[1, 1], &[5, 3]])),
            ("credentials", script(28, 0, &[ids])),
            ("credentials-twice", script(100, 0, &[ids, nobody])),
            ("credentials-fds", script(100, 2, &[ids, &[1, 3]])),
            ("fds-credentials-fds", script(200, 3, &[&[1, 3], nobody, &[9, 2]])),
        ];
        seeds.into_iter().map(|(name, seed)| (name.into(), seed)).collect()
    }

    #[test]
    fn a_message_of_the_kernel_is_read_by_both_walks() {
        // The seeds again, from this kernel, two behind each other.
        let (a, b) = UnixDatagram::pair().expect("a pair");
        let (a, b): (OwnedFd, OwnedFd) = (a.into(), b.into());
        let one = received(&a, &b, CREDENTIALS, 3, 200);
        let _ = a.as_fd();
        planted::cmsg_walk(&messages(&[one.clone(), one]), false);
    }
}

//! Credentials beside descriptors, and senders that have no pid.

use std::num::NonZeroI32;
use std::os::fd::FromRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use afunix::{
    AncillaryBuf, AsRawFd, Credentials, Gid, IoSlice, RecvOptions, SendOptions, Space, Uid,
    UnixDatagram, UnixSeqpacket, UnixStream,
};
use rustix::process::getpid;

use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::common::{Watchdog, is_root, passes_in_child, skip};
use crate::control::{self, HEADER, Token, Walk, recv, recv_as};

const ROOM: usize = Space::new().credentials().bytes();

/// The pid, uid and gid that the kernel tells in a message.
fn told(socket: &impl AsRawFd) -> [i32; 3] {
    let raw = control::receive(socket, 8, ROOM, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC);
    let messages = control::messages(&raw.control, Walk::Right);
    assert_eq!((messages.len(), messages[0].kind), (1, libc::SCM_CREDENTIALS));
    control::ints(&messages[0].payload).try_into().unwrap()
}

/// In uds 0.4.2 and sendfd 0.4.5 credentials push the descriptors out of the buffer, and those are
/// lost without a word.
#[test]
fn descriptors_are_received_beside_credentials() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    b.set_passcred(true).unwrap();
    let mut token = Token::new();
    a.send_fds(b"x", &[token.fd(); 3]).unwrap();
    let (_, fds) = b.recv_fds::<3>(&mut [0; 8]).unwrap();
    assert_eq!((fds.len(), fds.surplus()), (3, 0));
    a.send_fds(b"x", &[token.fd(); 3]).unwrap();
    drop(b.recv_fds_exact::<3>(&mut [0; 8]).unwrap());
    drop(fds);
    token.assert_all_closed();

    // Control: they fill the usual room for three.
    if left_out_by_qemu(CUT) {
        return;
    }
    let mut token = Token::new();
    a.send_fds(b"x", &[token.fd(); 3]).unwrap();
    let room = (HEADER + 3 * 4).next_multiple_of(control::WORD);
    let raw = control::receive(&b, 8, room, libc::MSG_CMSG_CLOEXEC);
    let messages = control::messages(&raw.control, Walk::Right);
    assert_eq!((raw.data.len(), control::rights(&messages)), (1, vec![]));
    token.assert_all_closed();
}

/// passfd 0.1.6 takes the first message for the descriptor's, and any other for an error.
#[test]
fn descriptor_is_found_behind_credentials() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    b.set_passcred(true).unwrap();
    let mut token = Token::new();
    for _ in 0..3 {
        a.send_fds(b"x", &[token.fd()]).unwrap();
        let (_, [fd]) = b.recv_fds_exact::<1>(&mut [0; 8]).unwrap();
        drop(fd);
    }

    // Control: the first message is never the one.
    a.send_fds(b"x", &[token.fd()]).unwrap();
    let raw = control::receive(&b, 8, 2 * ROOM, libc::MSG_CMSG_CLOEXEC);
    let messages = control::messages(&raw.control, Walk::Right);
    let kinds: Vec<_> = messages.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [libc::SCM_CREDENTIALS, libc::SCM_RIGHTS]);
    control::close(&control::rights(&messages));
    token.assert_all_closed();
}

/// Credentials of rustix 1.1.6 have no room for the pid 0: a message with it makes a value that must not
/// be, and that its `Result` may take for an error which the sender chooses by its ids.
#[test]
fn message_from_before_credentials_were_asked_for_has_no_pid_and_nobodys_ids() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    a.send(b"x").unwrap();
    a.send(b"x").unwrap();
    b.set_passcred(true).unwrap();
    let mut buf = AncillaryBuf::<ROOM>::new();
    let seen = recv(&b, &mut buf).unwrap().credentials().unwrap();
    let nobody = [0, 65534, 65534];
    assert_eq!((seen.pid, [seen.uid.as_raw(), seen.gid.as_raw()]), (None, [65534; 2]));
    assert_eq!(seen.to_string(), "unknown pid, uid 65534, gid 65534");

    // Control: this is the pid that the kernel tells.
    let [pid, uid, gid] = told(&b);
    assert_eq!(([pid, uid, gid], NonZeroI32::new(pid)), (nobody, None));
}

/// Some ids. The last two are what `EAGAIN` and `EINTR` are in 16 bits, with their sign changed.
pub const IDS: [u32; 4] = [0, 1000, 65525, 65532];

/// What is said of each sender: by this crate, and by the kernel.
const ANSWER: usize = 2 * 3 * size_of::<i32>();

/// Receives, in another process, twice of each sender. It may not panic, nor wait.
fn answer(socket: &UnixSeqpacket) -> Vec<u8> {
    let mut buf = AncillaryBuf::<ROOM>::new();
    let mut bytes = Vec::new();
    for _ in IDS {
        let options = RecvOptions::new().nonblocking();
        let seen = recv_as(socket, &mut buf, options).unwrap().credentials().unwrap();
        let ids = [seen.uid.as_raw(), seen.gid.as_raw()].map(u32::cast_signed);
        let pid = seen.pid.map_or(0, |pid| pid.as_raw_pid());
        let numbers = [[pid, ids[0], ids[1]], told(socket)];
        bytes.extend(numbers.as_flattened().iter().flat_map(|number| number.to_ne_bytes()));
    }
    bytes
}

/// Forks a child into a pid namespace of its own, where it is the first; `None` if there may be none.
pub fn in_other_pid_namespace(body: impl FnOnce() -> Vec<u8>) -> Option<Vec<u8>> {
    let mut fds = [0; 2];
    // SAFETY: there is room for two numbers, and then nobody else has them.
    let (mut read, write) = unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (std::fs::File::from_raw_fd(fds[0]), std::fs::File::from_raw_fd(fds[1]))
    };
    // SAFETY: numbers alone. No thread can be started from here on, which nobody does.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        return None;
    }
    // SAFETY: the child does not come back from here.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let said = catch_unwind(AssertUnwindSafe(|| {
            assert_eq!(getpid().as_raw_pid(), 1);
            std::io::Write::write_all(&mut &write, &body()).unwrap();
        }));
        // SAFETY: ends this process.
        unsafe { libc::_exit(i32::from(said.is_err())) };
    }
    drop(write);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut read, &mut bytes).unwrap();
    let mut status = 0;
    // SAFETY: the status is ours to write.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    Some(bytes)
}

/// To rustix 1.1.6 the same happens with every sender that is in a container's pid namespace, or outside
/// of the receiver's; uds 0.4.2 takes its pid for a sign that the socket is not connected.
#[test]
fn sender_that_is_outside_the_pid_namespace_has_no_pid_and_its_own_ids() {
    let _watchdog = Watchdog::new();
    let test = "credentials::sender_that_is_outside_the_pid_namespace_has_no_pid_and_its_own_ids";
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may make a pid namespace");
        }
        let (a, b) = UnixSeqpacket::pair().unwrap();
        b.set_passcred(true).unwrap();
        let mut buf = AncillaryBuf::<ROOM>::new();
        let send = |id: u32, buf: &mut AncillaryBuf<ROOM>| {
            let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
            let mut writer = buf.writer();
            writer.push_credentials(Credentials { pid: Some(getpid()), uid, gid }).unwrap();
            a.send_with(&[IoSlice::new(b"x")], &writer, SendOptions::new()).unwrap();
        };
        // In this namespace it has one.
        send(IDS[1], &mut buf);
        let seen = recv(&b, &mut buf).unwrap().credentials().unwrap();
        assert_eq!((seen.pid, seen.uid.as_raw()), (Some(getpid()), IDS[1]));

        for id in IDS {
            send(id, &mut buf);
            send(id, &mut buf);
        }
        let Some(answers) = in_other_pid_namespace(|| answer(&b)) else {
            return skip("this root may not make a pid namespace");
        };
        assert_eq!(answers.len(), IDS.len() * ANSWER);
        for (answer, id) in answers.chunks_exact(ANSWER).zip(IDS.map(u32::cast_signed)) {
            let (ours, kernels) = answer.split_at(ANSWER / 2);
            assert_eq!(control::ints(ours), [0, id, id]);
            // Control: the kernel does say 0, which is no number for some types.
            assert_eq!(control::ints(kernels), [0, id, id]);
            assert_eq!(NonZeroI32::new(control::ints(kernels)[0]), None);
        }
    });
}

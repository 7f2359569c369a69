//! Under a seccomp filter that forbids one call, as services have.

use std::fs;
use std::mem::offset_of;

use afunix::{
    AncillaryBuf, AsFd, BorrowedFd, Errno, IoSliceMut, OwnedFd, RecvOptions, SendError, UnixAddr,
    UnixDatagram, UnixStream, WrongSocket,
};

use crate::common::emulated::{FILTER, left_out_by_qemu};
use crate::common::kinds::{Connects, Socket};
use crate::common::passes::Passes;
use crate::common::{TempDir, identity, name, passes_in_child, snapshot};

for_all!(descriptor_that_cannot_be_asked_is_given_back_and_may_be_taken_unchecked);
for_connecting!(listener_that_may_not_listen_leaves_no_file_and_no_name);
for_data!(descriptors_without_data_are_not_sent_by_what_cannot_be_asked);

/// A call by its own number, and by the one that it has in `socketcall` of 32-bit x86.
#[derive(Clone, Copy)]
struct Call(libc::c_long, u32);

const LISTEN: Call = Call(libc::SYS_listen, 4);
const GETSOCKOPT: Call = Call(libc::SYS_getsockopt, 15);

/// From now on `call` is `EPERM` to this thread.
fn forbid(Call(number, multiplexed): Call) {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

    let at = |offset: usize| u32::try_from(offset).unwrap();
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // No number of a call is negative: elsewhere than on 32-bit x86 the second question is never
    // answered with yes.
    #[cfg(target_arch = "x86")]
    let socketcall = u32::try_from(libc::SYS_socketcall).unwrap();
    #[cfg(not(target_arch = "x86"))]
    let socketcall = u32::MAX;
    let low_half = if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut program = [
        step(LOAD, 0, 0, at(offset_of!(libc::seccomp_data, nr))),
        step(JUMP_IF_EQUAL, 3, 0, u32::try_from(number).unwrap()),
        step(JUMP_IF_EQUAL, 0, 3, socketcall),
        step(LOAD, 0, 0, at(offset_of!(libc::seccomp_data, args) + low_half)),
        step(JUMP_IF_EQUAL, 0, 1, multiplexed),
        step(RETURN, 0, 0, REFUSE),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: numbers, and a program that is as long as it says and outlives the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}

/// Runs `body` in a child, where there are filters.
#[track_caller]
fn check(test: &str, body: impl FnOnce()) {
    if !left_out_by_qemu(FILTER) {
        passes_in_child(test, body);
    }
}

fn listener_that_may_not_listen_leaves_no_file_and_no_name<T: Connects>(test: &str) {
    check(test, || {
        let folder = TempDir::new();
        let (path, name) = (folder.addr("socket"), name("listen"));
        let before = snapshot(folder.path());
        forbid(LISTEN);
        for addr in [path, name] {
            let refused: Option<Errno> = T::Listener::bind(&addr).err();
            assert_eq!(refused, Some(Errno::PERM));
            assert_eq!(T::Listener::autobind().err(), Some(Errno::PERM));
            assert_eq!(snapshot(folder.path()), before);
            // Free for the next one, whose `listen` gives the socket back, name and all.
            let bound = T::bind(&addr).unwrap();
            let refused = bound.listen(1).err().unwrap();
            assert_eq!(refused.errno(), Errno::PERM);
            assert_eq!(refused.into_socket().local_addr(), Ok(addr));
            if addr == path {
                fs::remove_file(folder.join("socket")).unwrap();
            }
        }
    });
}

fn descriptor_that_cannot_be_asked_is_given_back_and_may_be_taken_unchecked<T: Socket>(test: &str) {
    check(test, || {
        let fd: OwnedFd = T::fresh().into();
        let before = identity(&fd);
        forbid(GETSOCKOPT);
        let refused = T::try_from(fd).err().unwrap();
        assert_eq!(refused.reason(), WrongSocket::Kernel(Errno::PERM));
        assert_eq!(refused.errno(), Errno::PERM);
        let fd = refused.into_fd();
        assert_eq!(identity(&fd), before);
        let socket = T::from_fd_unchecked(fd);
        let _: UnixAddr = socket.local_addr().unwrap();
    });
}

/// The functions do not know what they are given, and lose nothing to find out.
fn descriptors_without_data_are_not_sent_by_what_cannot_be_asked<T: Passes>(test: &str) {
    check(test, || {
        let (a, b) = T::pair().unwrap();
        forbid(GETSOCKOPT);
        let refused = afunix::send_fds(&a, b"", &[a.as_fd()]);
        assert_eq!(refused.unwrap_err(), SendError::Kernel(Errno::PERM));
        // With data nobody is asked; nor is the type itself, which knows.
        assert_eq!(afunix::send_fds(&a, b"x", &[a.as_fd()]).unwrap().bytes, 1);
        drop(b.recv_fds_exact::<1>(&mut [0]).unwrap());
        let without = a.send_fds(b"", &[a.as_fd()]);
        let is_stream = T::TYPE == libc::SOCK_STREAM;
        assert_eq!(without.err(), is_stream.then_some(SendError::NoData { fds: 1 }));
    });
}

/// See "The end of a stream names root" in `kernel.md`: whoever cannot find out whether it is the end
/// of a stream takes it for one.
#[test]
fn what_cannot_be_asked_attests_nobody_with_no_data() {
    let test = "filters::what_cannot_be_asked_attests_nobody_with_no_data";
    check(test, || {
        let (a, b) = UnixStream::pair().unwrap();
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        b.set_passcred(true).unwrap();
        receiver.set_passcred(true).unwrap();
        drop(a);
        sender.send(b"").unwrap();
        sender.send(b"").unwrap();
        forbid(GETSOCKOPT);
        let mut control = AncillaryBuf::<64>::new();
        let mut attested = |fd: BorrowedFd<'_>| {
            let (mut data, options) = ([0; 8], RecvOptions::new());
            let data = &mut [IoSliceMut::new(&mut data)];
            let (received, ancillary) = afunix::recv_with(fd, data, &mut control, options).unwrap();
            assert_eq!(received.bytes, 0);
            ancillary.credentials()
        };
        assert_eq!(attested(b.as_fd()), None);
        assert_eq!(attested(receiver.as_fd()), None);
        // The type itself knows.
        let data = &mut [IoSliceMut::new(&mut [])];
        let (_, ancillary) = receiver.recv_with(data, &mut control, RecvOptions::new()).unwrap();
        assert!(ancillary.credentials().is_some());
    });
}

/// What the tests above rest on: the filter refuses that call and no other.
#[test]
fn filter_refuses_the_call_it_names_and_no_other() {
    check("filters::filter_refuses_the_call_it_names_and_no_other", || {
        let socket = afunix::UnixStream::bind(&name("filter")).unwrap();
        assert_eq!(socket.take_error(), Ok(None));
        forbid(GETSOCKOPT);
        assert_eq!(socket.take_error(), Err(Errno::PERM));
        let listener = socket.listen(1).unwrap();
        forbid(LISTEN);
        assert_eq!(listener.listen(2), Err(Errno::PERM));
    });
}

//! Under a seccomp filter that forbids one call, as services have.

use std::fs;

use afunix::{
    AncillaryBuf, AsFd, BorrowedFd, Errno, IoSliceMut, OwnedFd, RecvOptions, SendError, UnixAddr,
    UnixDatagram, UnixStream, WrongSocket,
};

use crate::common::emulated::{FILTER, left_out_by_qemu};
use crate::common::kinds::{Connects, Socket};
use crate::common::passes::Passes;
use crate::common::seccomp::{GETSOCKOPT, LISTEN, forbid};
use crate::common::{TempDir, identity, name, passes_in_child, snapshot};

for_all!(descriptor_that_cannot_be_asked_is_given_back_and_may_be_taken_unchecked);
for_connecting!(listener_that_may_not_listen_leaves_no_file_and_no_name);
for_data!(descriptors_without_data_are_not_sent_by_what_cannot_be_asked);

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

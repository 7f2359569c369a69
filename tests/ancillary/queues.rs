//! Descriptors in a queue that nobody will read.

use afunix::{
    AncillaryBuf, AsFd, AsRawFd, FromRawFd, IntoRawFd, IoSliceMut, OwnedFd, RecvOptions,
    UnixDatagram, UnixListener, UnixStream,
};

use crate::common::emulated::is_set;
use crate::common::{name, open_fds, passes_in_child};
use crate::methods::{Passes, get, got, lend};
use crate::plain::{pipe, poll};

for_data!(
    descriptors_of_a_receiver_that_closes_are_closed
    descriptors_that_are_read_over_are_closed
    descriptors_that_nobody_took_are_closed
    pidfd_is_taken_once_or_closed
);

/// Sends the write end of a pipe, so that the read end tells when the last copy of it is closed.
fn send_end<T: Passes>(socket: &T) -> OwnedFd {
    let (reading, writing) = pipe();
    socket.send_fds(b"x", &lend(&[writing])).unwrap();
    assert_eq!(poll(&reading), 0);
    reading
}

/// See "Descriptors in a queue that is dropped are closed" in `kernel.md`.
fn descriptors_of_a_receiver_that_closes_are_closed<T: Passes>(test: &str) {
    // A process of its own, so that no other's child has a copy for an instant.
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let readings = [(); 3].map(|()| send_end(&a));
        drop(a);
        assert!(readings.iter().all(|reading| poll(reading) == 0));
        drop(b);
        assert!(readings.iter().all(|reading| poll(reading) == libc::POLLHUP));
    });
}

/// See "Descriptors in a queue that is dropped are closed" in `kernel.md`.
fn descriptors_that_are_read_over_are_closed<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let before = open_fds().len();
        let reading = send_end(&a);
        assert_eq!(b.get(&mut [0; 4]), Ok(1));
        assert_eq!(poll(&reading), libc::POLLHUP);
        drop(reading);
        // A look at it takes nothing.
        let reading = send_end(&a);
        got(&b, 4, RecvOptions::new().peek()).unwrap();
        assert_eq!(poll(&reading), 0);
        drop(b.recv_fds::<0>(&mut [0; 4]).unwrap());
        assert_eq!(poll(&reading), libc::POLLHUP);
        drop(reading);
        assert_eq!(open_fds().len(), before);
    });
}

fn descriptors_that_nobody_took_are_closed<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let before = open_fds();
        let reading = send_end(&a);
        let (_, fds) = b.recv_fds::<3>(&mut [0; 4]).unwrap();
        assert_eq!(poll(&reading), 0);
        drop(fds);
        assert_eq!(poll(&reading), libc::POLLHUP);
        drop(reading);
        // By an iterator that is left, by a container that was not emptied, and by what received.
        for way in 0..4 {
            let (readings, writings): (Vec<_>, Vec<_>) = (0..3).map(|_| pipe()).unzip();
            a.send_fds(b"x", &lend(&writings)).unwrap();
            drop(writings);
            let (mut control, mut data) = (AncillaryBuf::<100>::new(), [0]);
            let data = &mut [IoSliceMut::new(&mut data)];
            match way {
                0 => {
                    let mut iter = b.recv_fds::<3>(&mut [0]).unwrap().1.into_iter();
                    let first = iter.next();
                    drop(iter);
                    let told: Vec<_> = readings.iter().map(poll).collect();
                    assert_eq!(told, [0, libc::POLLHUP, libc::POLLHUP]);
                    drop(first);
                }
                1 => drop(b.recv_fds::<3>(&mut [0]).unwrap().1.into_array::<2>().unwrap_err()),
                2 => drop(b.recv_with(data, &mut control, RecvOptions::new())),
                _ => {
                    let (_, mut ancillary) =
                        b.recv_with(data, &mut control, RecvOptions::new()).unwrap();
                    let first = ancillary.take_fds().next();
                    assert_eq!(ancillary.fds().count(), 2);
                    drop(ancillary);
                    let told: Vec<_> = readings.iter().map(poll).collect();
                    assert_eq!(told, [0, libc::POLLHUP, libc::POLLHUP]);
                    drop(first);
                }
            }
            assert!(readings.iter().all(|reading| poll(reading) == libc::POLLHUP), "{way}");
        }
        assert_eq!(open_fds(), before);
    });
}

fn pidfd_is_taken_once_or_closed<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        if !is_set(b.set_passpidfd(true)) {
            return;
        }
        let before = open_fds();
        let mut control = AncillaryBuf::<64>::new();
        for takes in [true, false, true] {
            a.put(b"x").unwrap();
            let mut data = [0];
            let data = &mut [IoSliceMut::new(&mut data)];
            let (_, mut ancillary) = b.recv_with(data, &mut control, RecvOptions::new()).unwrap();
            assert_eq!(open_fds().len(), before.len() + 1);
            // It is none of the descriptors that were sent.
            assert!(ancillary.fds().next().is_none() && ancillary.take_fds().next().is_none());
            let pidfd = takes.then(|| ancillary.take_pidfd().unwrap().unwrap());
            if takes {
                assert!(matches!(ancillary.take_pidfd(), Ok(None)));
            }
            drop(ancillary);
            assert_eq!(open_fds().len(), before.len() + usize::from(takes));
            drop(pidfd);
            assert_eq!(open_fds(), before);
        }
        // It belongs to whoever it is given away to.
        a.put(b"x").unwrap();
        let pidfd = get(&b, 1).pidfd.unwrap().unwrap();
        assert_eq!(pidfd.as_fd().as_raw_fd(), pidfd.as_raw_fd());
        let fd = OwnedFd::from(pidfd);
        assert_eq!(open_fds().len(), before.len() + 1);
        drop(fd);
        a.put(b"x").unwrap();
        let number = get(&b, 1).pidfd.unwrap().unwrap().into_raw_fd();
        assert_eq!(open_fds().len(), before.len() + 1);
        // SAFETY: it was just given away as a number.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
        assert_eq!(open_fds(), before);
    });
}

/// See "Descriptors in a queue that is dropped are closed" in `kernel.md`.
#[test]
fn descriptors_of_a_datagram_socket_that_turns_to_another_peer_are_closed() {
    passes_in_child(
        "queues::descriptors_of_a_datagram_socket_that_turns_to_another_peer_are_closed",
        || {
            let (a, b) = UnixDatagram::pair().unwrap();
            let (_other, there) = UnixDatagram::autobind().unwrap();
            let reading = send_end(&a);
            b.connect(&there).unwrap();
            assert_eq!(poll(&reading), libc::POLLHUP);
        },
    );
}

/// See "Descriptors in a queue that is dropped are closed" in `kernel.md`.
#[test]
fn descriptors_for_a_connection_that_nobody_accepts_are_closed() {
    passes_in_child("queues::descriptors_for_a_connection_that_nobody_accepts_are_closed", || {
        let server = name("server");
        let listener = UnixListener::bind(&server).unwrap();
        let client = UnixStream::connect(&server).unwrap();
        let reading = send_end(&client);
        drop(listener);
        assert_eq!(poll(&reading), libc::POLLHUP);
    });
}

//! Where a receive from a stream stops, and what comes with nothing.

use afunix::{AsRawFd, Errno, OwnedFd, RecvOptions, UnixStream};

use crate::common::Watchdog;
use crate::methods::{NOTHING, get, got, got_of, lend, mine, now};
use crate::plain::{self, files, inodes, rights};

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// Receives at most 100 bytes: those that came, and which files.
fn read(socket: &UnixStream) -> (Vec<u8>, Vec<u64>) {
    let got = get(socket, 100);
    (got.data, inodes(&got.fds))
}

/// See "Descriptors come with the first byte of theirs" in `kernel.md`.
#[test]
fn receive_stops_behind_the_bytes_of_descriptors_and_not_before() {
    let _watchdog = Watchdog::new();
    let ((a, b), files) = (pair(), files(3));
    let numbers = inodes(&files);
    a.write(b"AA").unwrap();
    a.send_fds(b"BB", &lend(&files[..1])).unwrap();
    a.write(b"CC").unwrap();
    assert_eq!(read(&b), (b"AABB".to_vec(), numbers[..1].to_vec()));
    assert_eq!(read(&b), (b"CC".to_vec(), vec![]));

    // Two sends with descriptors never come together.
    a.send_fds(b"A", &lend(&files[..1])).unwrap();
    a.send_fds(b"B", &lend(&files[1..])).unwrap();
    assert_eq!(read(&b), (b"A".to_vec(), numbers[..1].to_vec()));
    assert_eq!(read(&b), (b"B".to_vec(), numbers[1..].to_vec()));

    // What is left of earlier bytes comes with them too.
    a.write(b"abc").unwrap();
    a.send_fds(b"d", &lend(&files[..1])).unwrap();
    b.read(&mut [0]).unwrap();
    assert_eq!(read(&b), (b"bcd".to_vec(), numbers[..1].to_vec()));
    assert_eq!(now(&b).unwrap_err(), NOTHING);
}

#[test]
fn descriptors_come_with_the_first_part_of_their_bytes() {
    let _watchdog = Watchdog::new();
    let ((a, b), files) = (pair(), files(1));
    a.send_fds(b"abcdef", &lend(&files)).unwrap();
    let parts = [(); 3].map(|()| {
        let got = get(&b, 2);
        (got.data, got.fds.len())
    });
    assert_eq!(parts, [(b"ab".to_vec(), 1), (b"cd".to_vec(), 0), (b"ef".to_vec(), 0)]);
    // A part that was read without room for them has taken them away.
    a.send_fds(b"abcd", &lend(&files)).unwrap();
    b.read(&mut [0; 2]).unwrap();
    assert_eq!(read(&b), (b"cd".to_vec(), vec![]));
}

/// See "Descriptors come with the first byte of theirs" in `kernel.md`.
#[test]
fn receive_that_waits_for_all_stops_there_too() {
    let _watchdog = Watchdog::new();
    let ((a, b), files) = (pair(), files(1));
    a.write(b"AA").unwrap();
    plain::send(&a, b"BB", &rights(&[files[0].as_raw_fd()]), 0).unwrap();
    a.write(b"CC").unwrap();
    let reply = plain::recv(&b, &mut [0; 6], 64, libc::MSG_WAITALL).unwrap();
    assert_eq!((reply.bytes, reply.fds.len()), (4, 1));
    assert_eq!(read(&b), (b"CC".to_vec(), vec![]));
}

/// See "A receive of nothing takes descriptors" in `kernel.md`.
#[test]
fn receive_of_no_bytes_takes_the_next_descriptors() {
    let _watchdog = Watchdog::new();
    let ((a, b), files) = (pair(), files(1));
    let numbers = inodes(&files);
    // If there is no data it waits.
    for room in [0, 64] {
        let flags = libc::MSG_DONTWAIT;
        assert_eq!(plain::recv(&b, &mut [], room, flags).map(drop), Err(Errno::AGAIN));
    }
    let nonblocking = || RecvOptions::new().nonblocking();
    assert_eq!(got(&b, 0, nonblocking()).unwrap_err(), NOTHING);
    assert_eq!(got_of(&b, 0, nonblocking()).unwrap_err(), NOTHING);

    let send = || assert_eq!(a.send_fds(b"x", &lend(&files)).map(|sent| sent.bytes), Ok(1));
    // Each way to take them, with the byte left behind.
    type Way = fn(&UnixStream) -> Vec<OwnedFd>;
    let ways: [Way; 5] = [
        |b| plain::recv(b, &mut [], 64, 0).unwrap().fds,
        |b| got(b, 0, RecvOptions::new()).unwrap().fds,
        |b| got_of(b, 0, RecvOptions::new()).unwrap().fds,
        |b| b.recv_fds::<2>(&mut []).unwrap().1.into_iter().collect(),
        |b| afunix::recv_fds_exact::<1>(b, &mut []).unwrap().1.into(),
    ];
    for way in ways {
        send();
        // `read` takes nothing.
        assert_eq!(b.read(&mut []), Ok(0));
        assert_eq!(inodes(&way(&b)), numbers);
        assert_eq!(read(&b), (b"x".to_vec(), vec![]));
    }
    assert_eq!(b.read(&mut []), Ok(0));
}

/// See "The end of a stream names root" in `kernel.md`.
#[test]
fn receive_of_no_bytes_is_not_the_end() {
    let _watchdog = Watchdog::new();
    let (a, b) = pair();
    b.set_passcred(true).unwrap();
    a.write(b"x").unwrap();
    for _ in 0..2 {
        assert_eq!(got(&b, 0, RecvOptions::new()).unwrap().credentials, Some(mine()));
        assert_eq!(got_of(&b, 0, RecvOptions::new()).unwrap().credentials, Some(mine()));
    }
    assert_eq!(get(&b, 4).data, b"x");
}

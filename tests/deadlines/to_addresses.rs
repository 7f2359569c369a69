//! Datagrams to an address: of the queue there `poll` tells the sender nothing.

use std::thread;
use std::time::{Duration, Instant};

use afunix::{
    AncillaryBuf, Deadline, Errno, IoSlice, SendOptions, Shutdown, UnixAddr, UnixDatagram,
};

use crate::common::{Watchdog, close, name, open_fds, passes_in_child, start_waiting};
use crate::poll::rests;
use crate::ways::{SLACK, drain, expires, far, fill, limit_descriptors, past};

/// Each way to send to an address.
type PutTo = fn(&UnixDatagram, &[u8], &UnixAddr, Deadline) -> Result<usize, Errno>;

const WAYS: [PutTo; 3] = [
    UnixDatagram::send_to_deadline,
    |socket, data, to, deadline| {
        let (mut none, data) = (AncillaryBuf::<0>::new(), [IoSlice::new(data)]);
        let options = SendOptions::new().to(to).deadline(deadline);
        Ok(socket.send_with(&data, &none.writer(), options)?.bytes)
    },
    |socket, data, to, deadline| {
        let (mut none, data) = (AncillaryBuf::<0>::new(), [IoSlice::new(data)]);
        let options = SendOptions::new().to(to).deadline(deadline);
        Ok(afunix::send_with(socket, &data, &none.writer(), options)?.bytes)
    },
];

/// A receiver whose queue is full, its name, and who filled it: with messages of one byte.
fn full() -> (UnixDatagram, UnixAddr, UnixDatagram) {
    let (inbox, there) = UnixDatagram::autobind().unwrap();
    let sender = crowd(&there);
    (inbox, there, sender)
}

fn crowd(there: &UnixAddr) -> UnixDatagram {
    let sender = UnixDatagram::unbound().unwrap();
    while sender.send_to_deadline(b"x", there, past()).is_ok() {}
    sender
}

#[test]
fn message_goes_at_once_even_if_it_is_late() {
    let (inbox, there) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    for put in WAYS {
        for deadline in [past(), far()] {
            assert_eq!(put(&sender, b"word", &there, deadline), Ok(4));
            assert_eq!(inbox.recv(&mut [0; 8]).unwrap().size, 4);
        }
    }
}

#[test]
fn message_goes_when_there_is_room() {
    let _watchdog = Watchdog::new();
    for put in WAYS {
        for nonblocking in [false, true] {
            let (inbox, there, sender) = full();
            sender.set_nonblocking(nonblocking).unwrap();
            thread::scope(|scope| {
                let waiting = start_waiting(scope, || put(&sender, b"more", &there, far()));
                assert_eq!(inbox.recv(&mut [0; 8]).unwrap().size, 1);
                assert_eq!(waiting.join().unwrap(), Ok(4));
            });
        }
    }
}

#[test]
fn send_that_waits_in_vain_is_etimedout_and_sent_nothing() {
    let _watchdog = Watchdog::new();
    for put in WAYS {
        let (inbox, there, sender) = full();
        expires(|deadline| put(&sender, b"more", &there, deadline));
        rests(|deadline| put(&sender, b"more", &there, deadline));
        assert_eq!(put(&sender, b"more", &there, past()), Err(Errno::TIMEDOUT));
        let queued = drain(&inbox);
        assert!(queued > 1);
        for _ in 0..queued {
            assert_eq!(put(&sender, b"x", &there, past()), Ok(1));
        }
        assert_eq!(put(&sender, b"x", &there, past()), Err(Errno::TIMEDOUT));
    }
}

#[test]
fn receiver_that_goes_away_is_a_refusal() {
    let _watchdog = Watchdog::new();
    for put in WAYS {
        let (inbox, there, sender) = full();
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || put(&sender, b"more", &there, far()));
            close(inbox);
            assert_eq!(waiting.join().unwrap(), Err(Errno::CONNREFUSED));
        });
    }
}

#[test]
fn receiver_that_will_not_read_is_epipe() {
    let _watchdog = Watchdog::new();
    for put in WAYS {
        let (inbox, there, sender) = full();
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || put(&sender, b"more", &there, far()));
            inbox.shutdown(Shutdown::Read).unwrap();
            assert_eq!(waiting.join().unwrap(), Err(Errno::PIPE));
        });
    }
}

#[test]
fn receiver_that_turns_to_another_is_eperm() {
    let _watchdog = Watchdog::new();
    let (_other, elsewhere) = UnixDatagram::autobind().unwrap();
    for put in WAYS {
        let (inbox, there, sender) = full();
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || put(&sender, b"more", &there, far()));
            inbox.connect(&elsewhere).unwrap();
            assert_eq!(waiting.join().unwrap(), Err(Errno::PERM));
        });
    }
}

/// The name is another's when there is room: who had it first is nobody to wait for any more.
#[test]
fn receiver_that_is_replaced_is_waited_for_too() {
    let _watchdog = Watchdog::new();
    let folder = crate::common::TempDir::new();
    let there = folder.addr("inbox");
    let first = UnixDatagram::bind(&there).unwrap();
    let sender = crowd(&there);
    // Full as well, and in its place without an instant of nobody.
    let second = UnixDatagram::bind(&folder.addr("next")).unwrap();
    crowd(&folder.addr("next"));
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || sender.send_to_deadline(b"more", &there, far()));
        std::fs::rename(folder.join("next"), folder.join("inbox")).unwrap();
        close(first);
        thread::sleep(Duration::from_millis(50));
        rests(|deadline| crowd(&there).send_to_deadline(b"more", &there, deadline));
        let received = drain(&second);
        assert_eq!(waiting.join().unwrap(), Ok(4));
        assert_eq!(received + drain(&second) - 4, received.min(11));
    });
}

#[test]
fn without_a_descriptor_to_spare_it_looks_now_and_then() {
    const TEST: &str = "to_addresses::without_a_descriptor_to_spare_it_looks_now_and_then";
    let _watchdog = Watchdog::new();
    passes_in_child(TEST, || {
        let (inbox, there, sender) = full();
        limit_descriptors(0);
        assert_eq!(UnixDatagram::unbound().map(drop), Err(Errno::MFILE));
        rests(|deadline| sender.send_to_deadline(b"more", &there, deadline));
        thread::scope(|scope| {
            let sending = scope.spawn(|| sender.send_to_deadline(b"more", &there, far()));
            thread::sleep(Duration::from_millis(100));
            assert!(!sending.is_finished());
            drain(&inbox);
            assert_eq!(sending.join().unwrap(), Ok(4));
        });
    });
}

#[test]
fn no_descriptor_is_left_behind() {
    const TEST: &str = "to_addresses::no_descriptor_is_left_behind";
    passes_in_child(TEST, || {
        let (inbox, there, sender) = full();
        let before = open_fds();
        expires(|deadline| sender.send_to_deadline(b"more", &there, deadline));
        close(inbox);
        assert_eq!(sender.send_to_deadline(b"more", &there, far()), Err(Errno::CONNREFUSED));
        let mut after = open_fds();
        after.retain(|open| before.contains(open));
        assert_eq!(after.len() + 1, before.len());
    });
}

/// The receiver takes messages of this sender alone, who is not connected to it: no other socket can be,
/// and what is full is the sender's own buffer.
#[test]
fn receiver_that_is_connected_to_the_sender_is_waited_for() {
    let _watchdog = Watchdog::new();
    let (inbox, there) = UnixDatagram::autobind().unwrap();
    let (sender, own) = UnixDatagram::autobind().unwrap();
    inbox.connect(&own).unwrap();
    let mut sent = 0;
    while sender.send_to_deadline(b"x", &there, past()).is_ok() {
        sent += 1;
    }
    assert!(sent > 11, "{sent}");
    rests(|deadline| sender.send_to_deadline(b"more", &there, deadline));
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send_to_deadline(b"more", &there, far()));
        thread::sleep(Duration::from_millis(50));
        let received = drain(&inbox);
        assert_eq!(sending.join().unwrap(), Ok(4));
        assert_eq!(received + drain(&inbox), sent + 4);
    });
}

/// A connected sender may send elsewhere. Its peer's queue is full, and stays so.
#[test]
fn full_queue_of_the_peer_is_no_reason_to_wait() {
    let _watchdog = Watchdog::new();
    let (_peer, peers) = UnixDatagram::autobind().unwrap();
    let (inbox, there, _) = full();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&peers).unwrap();
    fill(&sender);
    let start = Instant::now();
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send_to_deadline(b"more", &there, far()));
        thread::sleep(Duration::from_millis(50));
        drain(&inbox);
        assert_eq!(sending.join().unwrap(), Ok(4));
    });
    assert!(start.elapsed() < SLACK);
    assert_eq!(sender.send_deadline(b"x", past()), Err(Errno::TIMEDOUT));
}

#[test]
fn refusals_come_at_once() {
    let _watchdog = Watchdog::new();
    let sender = UnixDatagram::unbound().unwrap();
    for put in WAYS {
        for (to, expected) in
            [(name("nobody"), Errno::CONNREFUSED), (UnixAddr::UNNAMED, Errno::INVAL)]
        {
            assert_eq!(put(&sender, b"x", &to, far()), Err(expected));
        }
    }
}

/// More senders than there is room for: each message goes, once.
#[test]
fn senders_in_competition_all_come_through() {
    const EACH: usize = 200;
    let _watchdog = Watchdog::new();
    let (inbox, there) = UnixDatagram::autobind().unwrap();
    thread::scope(|scope| {
        for put in WAYS.iter().cycle().take(4) {
            scope.spawn(|| {
                let sender = UnixDatagram::unbound().unwrap();
                for _ in 0..EACH {
                    assert_eq!(put(&sender, b"x", &there, far()), Ok(1));
                }
            });
        }
        for _ in 0..4 * EACH {
            assert_eq!(inbox.recv_deadline(&mut [0], far()).unwrap().size, 1);
        }
    });
    assert_eq!(drain(&inbox), 0);
}

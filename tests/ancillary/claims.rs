//! What depends on who sends: limits, ids, and credentials that are not the sender's own. Each runs in a
//! child.

use afunix::{Errno, SendError};

use crate::common::{is_root, passes_in_child, skip, unique};
use crate::methods::{NOTHING, Passes, claim, credentials, get, lend, mine, now};
use crate::plain::{self, files, message, messages, ucred};

for_data!(
    too_many_in_flight_until_a_receiver_reads_or_closes
    root_may_claim_anybody_who_is
    others_may_claim_their_own_ids_alone
    real_ids_come_with_messages_and_effective_ids_with_connections
);

fn limit_descriptors(soft: libc::rlim_t) {
    // SAFETY: the limit is ours to write, and to read.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = soft;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

/// Gives this process ids for good; the first two are the real and the effective one, the third saved.
fn become_others(uids: [u32; 3], gids: [u32; 3]) {
    // SAFETY: numbers alone, and one null pointer for no groups.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(gids[0], gids[1], gids[2]), 0);
        assert_eq!(libc::setresuid(uids[0], uids[1], uids[2]), 0);
    }
}

/// A user whom nobody else is: what is in flight is counted for each user over all processes.
fn become_nobody_else() {
    let user = 2_000_000 + 16 * std::process::id() + unique();
    become_others([user; 3], [user; 3]);
}

/// See "Too many in flight" in `kernel.md`.
fn too_many_in_flight_until_a_receiver_reads_or_closes<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let files = files(10);
        let lent = lend(&files);
        limit_descriptors(64);
        let send = |socket: &T| socket.send_fds(b"x", &lent).map(|sent| sent.bytes);
        if !is_root() {
            return skip("what this user has in flight elsewhere counts too");
        }
        // Privilege exempts.
        let (a, b) = T::pair().unwrap();
        (0..9).for_each(|_| assert_eq!(send(&a), Ok(1)));
        drop((a, b));

        become_nobody_else();
        let too_many = SendError::Kernel(Errno::TOOMANYREFS);
        let (a, b) = T::pair().unwrap();
        // It is what is in flight before that counts: 60 are less than 64, and 70 are not.
        (0..7).for_each(|_| assert_eq!(send(&a), Ok(1)));
        assert_eq!(send(&a), Err(too_many));
        assert_eq!(a.send_fds(b"x", &lent[..1]), Err(too_many));
        let said = "cannot send: too many descriptors of this user are in flight";
        assert_eq!((too_many.to_string(), too_many.errno()), (said.into(), Errno::TOOMANYREFS));
        // It is no matter of this one pair, nor of data.
        let (other, _other_end) = T::pair().unwrap();
        assert_eq!(send(&other), Err(too_many));
        assert_eq!(a.put(b"y"), Ok(1));
        // A receiver that reads makes room, for one.
        drop(b.recv_fds_exact::<10>(&mut [0]).unwrap());
        assert_eq!(send(&other), Ok(1));
        assert_eq!(send(&other), Err(too_many));
        // One that closes makes room for all that it had.
        drop(b);
        (0..6).for_each(|_| assert_eq!(send(&other), Ok(1)));
        assert_eq!(send(&other), Err(too_many));
    });
}

/// See "Credentials that a sender may claim" in `kernel.md`.
fn root_may_claim_anybody_who_is<T: Passes>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may claim to be somebody else");
        }
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        let forged = credentials(1, 1234, 5678);
        assert_eq!(claim(&a, b"x", &[forged]).unwrap().bytes, 1);
        assert_eq!(get(&b, 4).credentials, Some(forged));
        // Of several the last counts.
        assert_eq!(claim(&a, b"x", &[forged, credentials(1, 7, 8)]).unwrap().bytes, 1);
        assert_eq!(get(&b, 4).credentials, Some(credentials(1, 7, 8)));

        let own = std::process::id();
        let refused = [
            (credentials(i32::MAX.cast_unsigned(), 0, 0), Errno::SRCH),
            (credentials(0, 0, 0), Errno::SRCH),
            (credentials(own, u32::MAX, 0), Errno::INVAL),
            (credentials(own, 0, u32::MAX), Errno::INVAL),
        ];
        for (wrong, errno) in refused {
            assert_eq!(claim(&a, b"x", &[wrong]), Err(SendError::Kernel(errno)), "{wrong}");
        }
        assert_eq!(now(&b).unwrap_err(), NOTHING);

        // A receiver that did not ask is told nothing, and that is no loss.
        b.set_passcred(false).unwrap();
        claim(&a, b"x", &[forged]).unwrap();
        let got = get(&b, 4);
        assert_eq!((got.credentials, got.truncation), (None, None));
        // They are kept for one who asks later.
        claim(&a, b"x", &[forged]).unwrap();
        b.set_passcred(true).unwrap();
        assert_eq!(get(&b, 4).credentials, Some(forged));

        // The writer's bytes are those of `struct ucred`.
        let by_hand = messages(&[message(plain::CREDENTIALS, &ucred(1, 9, 10))]);
        assert_eq!(plain::send(&a, b"x", &by_hand, 0), Ok(1));
        claim(&a, b"x", &[credentials(1, 9, 10)]).unwrap();
        for _ in 0..2 {
            let reply = plain::recv(&b, &mut [0], 64, 0).unwrap();
            assert_eq!(reply.ucred(), Some(&ucred(1, 9, 10)[..]));
        }
    });
}

/// See "Credentials that a sender may claim" in `kernel.md`.
fn others_may_claim_their_own_ids_alone<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let mut ids = [1000, 1001, 1002];
        if is_root() {
            become_others(ids, ids.map(|id| id + 1000));
        } else {
            ids = [mine().uid.as_raw(); 3];
        }
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        let (own, me) = (std::process::id(), mine());
        for id in ids {
            for claimed in [credentials(own, id, me.gid.as_raw()), me] {
                claim(&a, b"x", &[claimed]).unwrap();
                assert_eq!(get(&b, 4).credentials, Some(claimed));
            }
        }
        let refused = [
            (credentials(own, 1234, me.gid.as_raw()), Errno::PERM),
            (credentials(own, me.uid.as_raw(), 1234), Errno::PERM),
            (credentials(1, me.uid.as_raw(), me.gid.as_raw()), Errno::PERM),
            (credentials(i32::MAX.cast_unsigned(), 0, 0), Errno::PERM),
            (credentials(0, me.uid.as_raw(), me.gid.as_raw()), Errno::PERM),
            (credentials(own, u32::MAX, 0), Errno::INVAL),
            (credentials(own, 0, u32::MAX), Errno::INVAL),
        ];
        for (wrong, errno) in refused {
            assert_eq!(claim(&a, b"x", &[wrong]), Err(SendError::Kernel(errno)), "{wrong}");
        }
        assert_eq!(now(&b).unwrap_err(), NOTHING);
    });
}

/// See "Real ids with messages, effective ids with connections" in `kernel.md`.
fn real_ids_come_with_messages_and_effective_ids_with_connections<T: Passes>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may have different ids");
        }
        become_others([1000, 1001, 1002], [2000, 2001, 2002]);
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        a.put(b"x").unwrap();
        let own = std::process::id();
        assert_eq!(get(&b, 4).credentials, Some(credentials(own, 1000, 2000)));
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut len = size_of::<libc::ucred>().try_into().unwrap();
        // SAFETY: the option's value is a `struct ucred`, whose size is passed.
        let done = unsafe {
            let value = (&raw mut peer).cast();
            libc::getsockopt(b.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value, &mut len)
        };
        assert_eq!((done, peer.pid.cast_unsigned(), peer.uid, peer.gid), (0, own, 1001, 2001));
    });
}

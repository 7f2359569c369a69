//! The groups of a peer.

use afunix::{Errno, Gid, PeerError};

use crate::asks::{Asks, Meets, ints, option};
use crate::common::emulated::{LENGTHS, left_out_by_qemu};
use crate::common::kinds::{Listens, Socket};
use crate::common::{is_root, name, passes_in_child, skip};
use crate::plain::fork;
use crate::processes::set_groups;

for_data!(groups_are_all_or_how_many_there_are);
for_connecting!(
    groups_are_of_when_the_connection_was_made
    groups_that_become_more_between_two_calls_are_counted_anew
);

const MARK: Gid = Gid::from_raw_unchecked(0xeeee);

/// What there is with that much room, in order; or how much it takes.
fn groups<T: Asks>(socket: &T, room: usize) -> Result<Vec<u32>, usize> {
    let mut buf = vec![MARK; room];
    let answer = match socket.peer_groups(&mut buf) {
        Ok(groups) => {
            let mut groups: Vec<_> = groups.iter().map(|group| group.as_raw()).collect();
            groups.sort_unstable();
            Ok(groups)
        }
        Err(error) => Err(needed(error)),
    };
    // What is behind them is as it was, and so is all where they do not fit.
    let written = answer.as_ref().map_or(0, Vec::len);
    assert!(buf[written..].iter().all(|group| *group == MARK));
    answer
}

#[track_caller]
fn needed(error: PeerError) -> usize {
    let PeerError::TooSmall { needed, .. } = error else { panic!("{error:?}") };
    assert_eq!(error.errno(), Errno::RANGE);
    assert_eq!(error.to_string(), format!("the buffer is too small, it takes {needed}"));
    needed
}

/// See "Groups that do not fit are counted" in `kernel.md`.
fn groups_are_all_or_how_many_there_are<T: Asks>(test: &str) {
    if left_out_by_qemu(LENGTHS) {
        return;
    }
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may choose its groups");
        }
        let few: &[u32] = &[5, 10, 4_000_000_000];
        let many: Vec<u32> = (100_000..100_064).collect();
        let most: Vec<u32> = (100_000..165_536).collect();
        for list in [&[], few, &many, &most] {
            set_groups(list);
            let (a, b) = T::pair().unwrap();
            // What it has later makes no difference.
            set_groups(&[1, 2, 3, 4, 5, 6]);
            let all = list.len();
            for room in [0, 1, 2, all / 2, all.saturating_sub(1), all, all + 1, all + 100] {
                let expected = if room < all { Err(all) } else { Ok(list.to_vec()) };
                assert_eq!(groups(&a, room), expected, "{all} groups, room for {room}");
            }
            let mut buf = vec![MARK; all];
            let found = afunix::peer_groups(&b, &mut buf).unwrap();
            let peer = b.peer_credentials().unwrap();
            for group in list.iter().rev().take(64) {
                peer.require_group(Gid::from_raw(*group), found).unwrap();
                assert!(peer.require_group(Gid::from_raw(*group), &[]).is_err());
            }
            assert!(peer.require_group(Gid::from_raw(4), found).is_err());

            // The kernel's own answers.
            let full = option(&a, libc::SO_PEERGROUPS, 4 * all).unwrap();
            assert_eq!((full.0, ints(&full.1[..4 * all])), (4 * all, list.to_vec()));
            if let Some(room) = (4 * all).checked_sub(1) {
                let refused = option(&a, libc::SO_PEERGROUPS, room);
                assert_eq!(refused.unwrap_err(), (Errno::RANGE, 4 * all));
            }
        }
    });
}

/// See "What was known of a peer stays" in `kernel.md`.
fn groups_are_of_when_the_connection_was_made<T: Meets>(test: &str) {
    if left_out_by_qemu(LENGTHS) {
        return;
    }
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may choose its groups");
        }
        set_groups(&[20, 21]);
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        set_groups(&[30]);
        let client = T::unbound().unwrap();
        fork(|| {
            set_groups(&[40, 41, 42]);
            client.connect_to(&server).unwrap();
        });
        let (connection, _, peer) = T::accept_peer(&listener).unwrap();
        assert_eq!(groups(&connection, 9), Ok(vec![40, 41, 42]));
        assert_eq!(groups(&client, 9), Ok(vec![20, 21]));
        // Its effective group is not among them.
        assert_eq!(peer.egid, Gid::ROOT);
        // SAFETY: a number alone.
        assert_eq!(unsafe { libc::setegid(50) }, 0);
        let (a, _b) = T::pair().unwrap();
        assert_eq!(groups(&a, 9), Ok(vec![30]));
        let peer = a.peer_credentials().unwrap();
        let mut buf = [MARK; 9];
        let found = a.peer_groups(&mut buf).unwrap();
        // A member of both is found by either.
        peer.require_group(Gid::from_raw(50), found).unwrap();
        peer.require_group(Gid::from_raw(30), found).unwrap();
        assert!(peer.require_group(Gid::ROOT, found).is_err());
    });
}

/// Of a listener they change when another process listens: who made room for what there was is told of what
/// there is.
fn groups_that_become_more_between_two_calls_are_counted_anew<T: Meets>(test: &str) {
    if left_out_by_qemu(LENGTHS) {
        return;
    }
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may choose its groups");
        }
        set_groups(&[20, 21]);
        let listener = T::Listener::fresh();
        let ask = |room: usize| {
            let mut buf = vec![MARK; room];
            let answer = afunix::peer_groups(&listener, &mut buf).map(<[Gid]>::len);
            answer.map_err(needed)
        };
        let room = ask(0).unwrap_err();
        assert_eq!((room, ask(room)), (2, Ok(2)));
        fork(|| {
            set_groups(&[30, 31, 32, 33, 34]);
            listener.listen(5).unwrap();
        });
        let room = ask(room).unwrap_err();
        assert_eq!((room, ask(room)), (5, Ok(5)));
        // And if there are fewer, those that there are.
        fork(|| {
            set_groups(&[30]);
            listener.listen(5).unwrap();
        });
        assert_eq!(ask(room), Ok(1));
    });
}

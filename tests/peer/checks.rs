//! Whether somebody is who was wanted: against a predicate that is written another way, and for those who
//! may be anybody.

use afunix::{Credentials, Errno, Gid, PeerCredentials, Pid, Refused, Uid, UnixStream, Wanted};
use proptest::prelude::*;

use crate::common::{Watchdog, is_root, passes_in_child, skip};
use crate::processes::become_others;

/// Those that may be anybody's.
const NOBODYS: [u32; 2] = [65534, u32::MAX];

fn id() -> impl Strategy<Value = u32> {
    let near = prop::sample::select(vec![
        0,
        1,
        1000,
        65533,
        65534,
        65535,
        65536,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX - 1,
        u32::MAX,
    ]);
    prop_oneof![4 => near, 1 => any::<u32>()]
}

fn pid() -> impl Strategy<Value = Option<i32>> {
    let near = prop::sample::select(vec![1, 2, 1000, i32::MAX]);
    prop_oneof![1 => Just(None), 4 => near.prop_map(Some), 1 => (1..=i32::MAX).prop_map(Some)]
}

const fn uid(id: u32) -> Uid {
    Uid::from_raw_unchecked(id)
}

const fn gid(id: u32) -> Gid {
    Gid::from_raw_unchecked(id)
}

/// Somebody, as a sender and as a peer. The latter is made by nobody but the kernel, and then changed.
fn somebody(pid: Option<i32>, user: u32, group: u32) -> (Credentials, PeerCredentials) {
    let pid = pid.map(|pid| Pid::from_raw(pid).unwrap());
    let (a, _b) = UnixStream::pair().unwrap();
    let mut peer = a.peer_credentials().unwrap();
    (peer.pid, peer.euid, peer.egid) = (pid, uid(user), gid(group));
    (Credentials { pid, uid: uid(user), gid: gid(group) }, peer)
}

/// A refusal says who was wanted, and who was found.
#[track_caller]
fn is_refused(answer: Result<(), Refused>, wanted: Wanted, found: Credentials) {
    let refused = answer.unwrap_err();
    assert_eq!(refused.wanted, wanted);
    assert_eq!((refused.pid, refused.uid, refused.gid), (found.pid, found.uid, found.gid));
    assert_eq!((refused.errno(), Errno::from(refused)), (Errno::ACCESS, Errno::ACCESS));
    assert_eq!(refused.to_string(), format!("wanted {wanted}, found {found}"));
}

#[track_caller]
fn are(
    passes: bool,
    answers: [Result<(), Refused>; 2],
    wanted: Wanted,
    found: Credentials,
) -> Result<(), TestCaseError> {
    for answer in answers {
        prop_assert_eq!(answer.is_ok(), passes);
        if !passes {
            is_refused(answer, wanted, found);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn user_passes_if_it_is_that_one_and_somebody(
        pid in pid(), user in id(), group in id(), wanted in id(),
    ) {
        let (sender, peer) = somebody(pid, user, group);
        for wanted in [wanted, user, group, 0] {
            let passes = user == wanted && !NOBODYS.contains(&user);
            let answers = [sender.require_user(uid(wanted)), peer.require_user(uid(wanted))];
            are(passes, answers, Wanted::User(uid(wanted)), sender)?;
        }
        let passes = user == 0;
        are(passes, [sender.require_root(), peer.require_root()], Wanted::User(Uid::ROOT), sender)?;
        // SAFETY: it cannot fail.
        let own = unsafe { libc::geteuid() };
        let answers = [sender.require_same_user(), peer.require_same_user()];
        are(user == own && own != 65534, answers, Wanted::User(uid(own)), sender)?;
    }

    #[test]
    fn member_passes_if_the_group_is_somebody_s(
        pid in pid(), user in id(), group in id(), wanted in id(),
        others in prop::collection::vec(id(), 0..5),
    ) {
        let (sender, peer) = somebody(pid, user, group);
        let groups: Vec<Gid> = others.iter().copied().map(gid).collect();
        for wanted in others.iter().copied().chain([wanted, user, group, 0]) {
            for groups in [&groups[..], &[]] {
                let mut all = groups.iter().map(|group| group.as_raw()).chain([group]);
                let passes = all.any(|group| group == wanted) && !NOBODYS.contains(&wanted);
                let wanted = gid(wanted);
                let answers =
                    [sender.require_group(wanted, groups), peer.require_group(wanted, groups)];
                are(passes, answers, Wanted::Group(wanted), sender)?;
            }
        }
    }

    #[test]
    fn process_passes_if_it_is_known(
        pid in pid(), user in id(), group in id(), wanted in 1..=i32::MAX,
    ) {
        let (sender, peer) = somebody(pid, user, group);
        for wanted in [wanted, 1, pid.unwrap_or(2)] {
            let passes = pid == Some(wanted);
            let wanted = Pid::from_raw(wanted).unwrap();
            let answers = [sender.require_process(wanted), peer.require_process(wanted)];
            are(passes, answers, Wanted::Process(wanted), sender)?;
        }
    }
}

#[test]
fn nobody_passes_as_nobody() {
    let _watchdog = Watchdog::new();
    for nobody in NOBODYS {
        let (sender, peer) = somebody(None, nobody, nobody);
        let (user, group) = (uid(nobody), gid(nobody));
        is_refused(sender.require_user(user), Wanted::User(user), sender);
        is_refused(peer.require_user(user), Wanted::User(user), sender);
        is_refused(sender.require_group(group, &[group]), Wanted::Group(group), sender);
        is_refused(peer.require_group(group, &[group]), Wanted::Group(group), sender);
        let init = Pid::INIT;
        is_refused(peer.require_process(init), Wanted::Process(init), sender);
    }
    // One that is beside such a group in a list is found all the same.
    let (sender, _) = somebody(None, 0, 65534);
    assert!(sender.require_group(gid(7), &[gid(65534), gid(7)]).is_ok());
}

/// A server that is nobody itself trusts nobody by being the same user.
#[test]
fn server_of_the_overflow_user_knows_nobody_by_the_user() {
    let _watchdog = Watchdog::new();
    let test = "checks::server_of_the_overflow_user_knows_nobody_by_the_user";
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may be somebody else");
        }
        become_others([65534; 3], [65534; 3]);
        let (a, b) = UnixStream::pair().unwrap();
        b.set_passcred(true).unwrap();
        a.write(b"x").unwrap();
        let sender = crate::methods::get(&b, 1).credentials.unwrap();
        assert_eq!((sender.uid.as_raw(), sender.gid.as_raw()), (65534, 65534));
        let peer = b.peer_credentials().unwrap();
        assert_eq!((peer.euid.as_raw(), peer.egid.as_raw()), (65534, 65534));
        is_refused(sender.require_same_user(), Wanted::User(uid(65534)), sender);
        is_refused(peer.require_same_user(), Wanted::User(uid(65534)), sender);
        assert!(peer.require_group(gid(65534), &[]).is_err());
        // The process is known all the same.
        let own = Pid::from_raw(std::process::id().cast_signed()).unwrap();
        assert!(peer.require_process(own).is_ok() && sender.require_process(own).is_ok());
    });
}

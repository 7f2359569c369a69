//! Whose a file is.

use afunix::{Errno, Gid, SocketFileOptions, Step, Uid};

use crate::common::{Nobody, TempDir, addr, snapshot};
use crate::made::{Made, Way, chmod, chown, folder_of, is_kernel, owned, set_umask};
use crate::others::{As, passes_as_root};

for_data!(
    root_gives_a_file_to_anybody
    others_give_a_file_to_a_group_of_theirs
    who_may_not_give_a_file_away_leaves_none
    who_may_give_a_file_away_but_not_change_it_then_is_told
    a_folder_with_the_group_bit_gives_its_group
);

fn root_gives_a_file_to_anybody<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = TempDir::new();
        let path = folder.join("control");
        for umask in [0, 0o077, 0o777] {
            set_umask(umask);
            for (way, wanted) in Way::ALL.map(|way| [(way, 0o660), (way, 0o427)]).concat() {
                let options = way.options(&path).mode(wanted);
                for (options, uid, gid) in [
                    (options, 0, 0),
                    (options.owner(Uid::from_raw(1234)), 1234, 0),
                    (options.group(Gid::from_raw(4321)), 0, 4321),
                    (options.owner(Uid::from_raw(1234)).group(Gid::from_raw(4321)), 1234, 4321),
                ] {
                    let (_socket, file) = T::make(options).unwrap();
                    assert_eq!(owned(&path), (uid, gid, wanted), "{way:?} under {umask:03o}");
                    assert_eq!(file.remove(), Ok(true));
                }
            }
            // Without a mode it keeps that which it was born with.
            let (_socket, file) = T::make(to(&path, 1234)).unwrap();
            assert_eq!(owned(&path), (1234, 0, 0o777 & !umask));
            assert_eq!(file.remove(), Ok(true));
        }
        assert_eq!(snapshot(folder.path()), []);
    });
}

fn to(path: &std::path::Path, uid: u32) -> SocketFileOptions<'_> {
    Way::Plain.options(path).owner(Uid::from_raw(uid))
}

fn others_give_a_file_to_a_group_of_theirs<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = folder_of(Nobody::UID, 0o700);
        let path = folder.join("control");
        let _other = As::new(Nobody::UID, Nobody::UID, &[4242]);
        for umask in [0, 0o077] {
            set_umask(umask);
            for way in Way::ALL {
                let options = way.options(&path).mode(0o660);
                let (_socket, file) = T::make(options.group(Gid::from_raw(4242))).unwrap();
                assert_eq!(owned(&path), (Nobody::UID, 4242, 0o660), "{way:?} under {umask:03o}");
                assert_eq!(file.remove(), Ok(true));
                // To give it to oneself is no gift.
                let own = options.owner(Uid::from_raw(Nobody::UID));
                let (_socket, file) = T::make(own).unwrap();
                assert_eq!(owned(&path), (Nobody::UID, Nobody::UID, 0o660));
                assert_eq!(file.remove(), Ok(true));
            }
        }
    });
}

fn who_may_not_give_a_file_away_leaves_none<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = folder_of(Nobody::UID, 0o700);
        let path = folder.join("control");
        for taken in [false, true] {
            let other = As::new(Nobody::UID, Nobody::UID, &[4242]);
            let old = taken.then(|| T::make(Way::Plain.options(&path)).unwrap());
            let before = snapshot(folder.path());
            // Where the name is taken, only what takes it over comes so far.
            let ways = Way::ALL.into_iter().filter(|way| !taken || *way == Way::Replace);
            for options in ways.map(|way| way.options(&path).mode(0o660)) {
                for options in [
                    options.owner(Uid::from_raw(0)),
                    options.owner(Uid::from_raw(1234)),
                    options.group(Gid::from_raw(0)),
                    options.group(Gid::from_raw(4343)),
                    options.owner(Uid::from_raw(1234)).group(Gid::from_raw(4242)),
                ] {
                    let made = T::make(options);
                    assert!(is_kernel(&made, Step::Owner, Errno::PERM), "{made:?}");
                    assert_eq!(snapshot(folder.path()), before);
                }
            }
            if taken {
                assert_eq!(T::reach(&addr(&path)), Ok(()));
            }
            drop((old, other));
        }
    });
}

/// With `CAP_CHOWN` and without `CAP_FOWNER`. In a sticky folder it could not be removed either, then.
fn who_may_give_a_file_away_but_not_change_it_then_is_told<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folders =
            [(0, 0o755), (Nobody::UID, 0o1777)].map(|(uid, mode)| (folder_of(uid, mode), mode));
        give_up_fowner();
        for (folder, folder_mode) in &folders {
            let path = folder.join("control");
            for way in Way::ALL {
                let options = way.options(&path).any_directory().owner(Uid::from_raw(1234));
                let made = T::make(options.mode(0o660));
                assert!(is_kernel(&made, Step::Mode, Errno::PERM), "{way:?}: {made:?}");
                if *folder_mode == 0o755 {
                    assert_eq!(snapshot(folder.path()), []);
                    // What the owner alone may do is what it is born with.
                    let (_socket, file) = T::make(options.mode(0o600)).unwrap();
                    assert_eq!((owned(&path), file.remove()), ((1234, 0, 0o600), Ok(true)));
                    continue;
                }
                // It is left as a socket that nobody has, and that none but its owner reaches.
                let [(left, ..)] = &snapshot(folder.path())[..] else {
                    panic!("{way:?}: one file")
                };
                assert_eq!(owned(left), (1234, 0, 0o600), "{way:?}");
                let _other = As::new(1234, 1234, &[]);
                assert_eq!(T::reach(&addr(left)), Err(Errno::CONNREFUSED), "{way:?}");
                std::fs::remove_file(left).unwrap();
            }
        }
    });
}

/// Takes the right from this thread to change what is another's.
fn give_up_fowner() {
    const VERSION: u32 = 0x2008_0522;
    const FOWNER: u32 = 1 << 3;
    let mut header = [VERSION, 0];
    let mut sets = [[0u32; 3]; 2];
    // SAFETY: a header and as many sets as its version has.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()), 0);
        // Nor is it to come back when this becomes root again.
        sets[0][0] &= !FOWNER;
        sets[0][1] &= !FOWNER;
        assert_eq!(libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()), 0);
    }
}

fn a_folder_with_the_group_bit_gives_its_group<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = TempDir::new();
        chown(folder.path(), 0, 4242);
        chmod(folder.path(), 0o2755);
        let path = folder.join("control");
        for umask in [0, 0o077] {
            set_umask(umask);
            for way in Way::ALL {
                let options = way.options(&path).mode(0o660);
                let (_socket, file) = T::make(options).unwrap();
                assert_eq!(owned(&path), (0, 4242, 0o660), "{way:?} under {umask:03o}");
                assert_eq!(file.remove(), Ok(true));
                let (_socket, file) = T::make(options.group(Gid::from_raw(7))).unwrap();
                assert_eq!(owned(&path), (0, 7, 0o660), "{way:?} under {umask:03o}");
                assert_eq!(file.remove(), Ok(true));
            }
        }
    });
}

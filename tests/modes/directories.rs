//! Whose a directory is, who may write there, and what that makes of a start there.

use std::os::unix::ffi::OsStrExt;

use afunix::{Errno, SocketFile, SocketFileError, Step};

use crate::common::{Nobody, TempDir, addr, close, snapshot};
use crate::made::{Made, Way, chmod, chown, folder_of, is_kernel, leave_stale, mode, set_umask};
use crate::others::{As, nobody, passes_as_root};

for_data!(
    a_folder_that_others_may_write_or_own_is_refused_before_anything_is_made
    others_are_refused_the_folders_of_third_parties_and_take_root_s
    who_may_not_write_to_the_folder_makes_nothing
    who_may_not_list_a_folder_cannot_lock_it
    in_a_sticky_folder_what_belongs_to_others_stays
);

/// Whether files are safe there from all but root and this user.
fn is_secure(folder_uid: u32, own: u32, mode: u32) -> bool {
    (folder_uid == 0 || folder_uid == own) && (mode & 0o022 == 0 || mode & 0o1000 != 0)
}

#[track_caller]
fn check_insecure<T>(made: Result<T, SocketFileError>, folder_uid: u32, folder_mode: u32) {
    let made = made.map(drop);
    let is = matches!(made, Err(SocketFileError::Insecure { uid, mode, .. })
        if (uid.as_raw(), mode) == (folder_uid, folder_mode));
    assert!(is, "in a folder of {folder_uid} with {folder_mode:04o}: {made:?}");
}

fn a_folder_that_others_may_write_or_own_is_refused_before_anything_is_made<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = TempDir::new();
        let path = folder.join("control");
        // What is in the way there, or left over, must stay just so.
        let left_over = folder.join(".control.afunix");
        for uid in [0, 1000] {
            for folder_mode in 0..=0o7777 {
                chown(folder.path(), uid, 0);
                chmod(folder.path(), folder_mode);
                let options = Way::ALL[folder_mode as usize % 4].options(&path).mode(0o600);
                if is_secure(uid, 0, folder_mode) {
                    let (_socket, file) = T::make(options).unwrap();
                    assert_eq!(file.remove(), Ok(true));
                } else {
                    check_insecure(T::make(options), uid, folder_mode);
                    if folder_mode % 8 == 7 {
                        let (_socket, file) = T::make(options.any_directory()).unwrap();
                        assert_eq!((mode(&path), file.remove()), (0o600, Ok(true)));
                    }
                }
                assert!(path.symlink_metadata().is_err());
            }
        }
        chown(folder.path(), 0, 0);
        chmod(folder.path(), 0o700);
        leave_stale::<T>(&left_over, 0o600);
        leave_stale::<T>(&path, 0o600);
        let before = snapshot(folder.path());
        for (uid, folder_mode) in
            [(0, 0o777), (0, 0o720), (0, 0o702), (1000, 0o700), (1000, 0o1777)]
        {
            chown(folder.path(), uid, 0);
            chmod(folder.path(), folder_mode);
            for way in Way::ALL {
                check_insecure(T::make(way.options(&path)), uid, folder_mode);
                assert_eq!(snapshot(folder.path()), before);
            }
        }
        let options = Way::Reclaim.options(&path).any_directory();
        let (_socket, file) = T::make(options).unwrap();
        // To remove it is as safe as ever.
        assert_eq!(file.remove(), Ok(true));
        assert_eq!(snapshot(folder.path()), []);
    });
}

fn others_are_refused_the_folders_of_third_parties_and_take_root_s<T: Made>(test: &str) {
    passes_as_root(test, || {
        for uid in [0, 1000, Nobody::UID] {
            for folder_mode in [0o755, 0o777, 0o775, 0o757, 0o1777, 0o1775, 0o1757, 0o2755, 0o700] {
                let folder = folder_of(uid, folder_mode);
                let path = folder.join("control");
                let them = nobody();
                // Whether it may at all, is asked only of those who are safe there.
                let may = folder_mode & if uid == Nobody::UID { 0o200 } else { 0o002 } != 0;
                for way in Way::ALL {
                    let made = T::make(way.options(&path)).map(|(_, file)| file.remove());
                    if !is_secure(uid, Nobody::UID, folder_mode) {
                        check_insecure(made, uid, folder_mode);
                        let made = T::make(way.options(&path).any_directory());
                        assert_eq!(made.is_ok(), may, "{uid} {folder_mode:o} {made:?}");
                        made.into_iter().for_each(|(_, file)| assert_eq!(file.remove(), Ok(true)));
                    } else if may {
                        assert_eq!(made, Ok(Ok(true)), "{uid} {folder_mode:o}");
                    } else {
                        let errno = made.map_err(SocketFileError::errno);
                        assert_eq!(errno, Err(Errno::ACCESS), "{uid} {folder_mode:o}");
                    }
                }
                drop(them);
                assert_eq!(snapshot(folder.path()), []);
            }
        }
    });
}

fn who_may_not_write_to_the_folder_makes_nothing<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = folder_of(0, 0o755);
        let path = folder.join("control");
        for state in ["empty", "stale", "live"] {
            let live = (state == "live").then(|| T::make(Way::Reclaim.options(&path)).unwrap());
            if state == "stale" {
                leave_stale::<T>(&path, 0o777);
            }
            let before = snapshot(folder.path());
            {
                let _nobody = nobody();
                for way in Way::ALL {
                    let made = T::make(way.options(&path).mode(0o660));
                    let case = format!("{way:?} where it is {state}: {made:?}");
                    // The kernel looks whether the name is taken before it asks for permission.
                    match (way, state) {
                        (Way::Plain, "stale") | (Way::Plain | Way::Reclaim, "live")
                            if !widens::<T>() =>
                        {
                            assert_eq!(made.unwrap_err(), SocketFileError::InUse, "{case}");
                        }
                        (Way::Reclaim, "stale") if !widens::<T>() => {
                            assert!(is_kernel(&made, Step::Remove, Errno::ACCESS), "{case}");
                        }
                        _ => assert!(is_kernel(&made, Step::Bind, Errno::ACCESS), "{case}"),
                    }
                }
            }
            assert_eq!(snapshot(folder.path()), before, "{state}");
            drop(live);
        }
    });
}

/// Whether 0660 is set after the bind, under another name: for datagrams, under the usual umask.
fn widens<T: Made>() -> bool {
    T::TYPE == libc::SOCK_DGRAM
}

fn who_may_not_list_a_folder_cannot_lock_it<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = folder_of(Nobody::UID, 0o300);
        let path = folder.join("control");
        set_umask(0);
        let _nobody = nobody();
        for way in [Way::Reclaim, Way::Replace, Way::PublishReady] {
            let made = T::make(way.options(&path).mode(0o660));
            assert!(is_kernel(&made, Step::Lock, Errno::ACCESS), "{way:?}: {made:?}");
        }
        let (socket, file) = T::make(Way::Plain.options(&path).mode(0o660)).unwrap();
        assert_eq!((mode(&path), T::reach(&addr(&path))), (0o660, Ok(())));
        assert!(is_kernel(&file.remove(), Step::Lock, Errno::ACCESS));
        assert_eq!(file.is_in_place(), Ok(true));
        // It fails the same way where the name is taken, and can be tried again when it may.
        let made = T::make(Way::Plain.options(&path));
        assert_eq!(made.unwrap_err(), SocketFileError::InUse);
        chmod(folder.path(), 0o700);
        assert_eq!(file.remove(), Ok(true));
        assert_eq!(snapshot(folder.path()), []);
        close(socket);
    });
}

/// A stale socket to which all may write is found out, but not removed; one to which they may not
/// cannot be told from one that is alive.
fn in_a_sticky_folder_what_belongs_to_others_stays<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = folder_of(0, 0o1777);
        let path = folder.join("control");
        for stale_mode in [0o777, 0o755] {
            {
                let _other = As::new(1000, 1000, &[]);
                leave_stale::<T>(&path, stale_mode);
            }
            let before = snapshot(folder.path());
            {
                let _nobody = nobody();
                let made = T::make(Way::Reclaim.options(&path));
                if stale_mode == 0o777 {
                    assert!(is_kernel(&made, Step::Remove, Errno::PERM), "{made:?}");
                } else {
                    assert_eq!(made.unwrap_err(), SocketFileError::InUse);
                }
                let made = T::make(Way::Replace.options(&path));
                assert!(is_kernel(&made, Step::Publish, Errno::PERM), "{made:?}");
                for way in [Way::Plain, Way::PublishReady] {
                    assert_eq!(T::make(way.options(&path)).unwrap_err(), SocketFileError::InUse);
                }
            }
            assert_eq!(snapshot(folder.path()), before);
            // Nor does one go that was its own when it was somebody else.
            let third = folder.join("third");
            let other = As::new(1000, 1000, &[]);
            let (_socket, file) = T::make(Way::Plain.options(&third)).unwrap();
            drop(other);
            let them = nobody();
            assert!(is_kernel(&file.remove(), Step::Remove, Errno::PERM));
            assert_eq!(file.is_in_place(), Ok(true));
            drop(them);
            assert_eq!(file.remove(), Ok(true));
            // Its own it may remove there, and root whatever there is.
            let them = nobody();
            let own = folder.join("own");
            leave_stale::<T>(&own, 0o600);
            let (_socket, file) = T::make(Way::Reclaim.options(&own)).unwrap();
            assert_eq!(file.remove(), Ok(true));
            drop(them);
            let (_socket, file) = T::make(Way::Reclaim.options(&path)).unwrap();
            assert_eq!(file.remove(), Ok(true));
            assert_eq!(snapshot(folder.path()), []);
        }
    });
}

/// What others left over at the other name is in the way of those alone who need that.
#[test]
fn in_a_sticky_folder_the_other_name_may_be_in_the_way() {
    const TEST: &str = "directories::in_a_sticky_folder_the_other_name_may_be_in_the_way";
    let _watchdog = crate::common::Watchdog::new();
    passes_as_root(TEST, || {
        let folder = folder_of(0, 0o1777);
        let (path, left_over) = (folder.join("control"), folder.join(".control.afunix"));
        {
            let _other = As::new(1000, 1000, &[]);
            leave_stale::<afunix::UnixStream>(&left_over, 0o777);
        }
        let before = snapshot(folder.path());
        {
            let _nobody = nobody();
            for way in Way::ALL {
                let made = way.options(&path).listener();
                if matches!(way, Way::Plain | Way::Reclaim) {
                    assert_eq!(made.map(|(_, file)| file.remove()), Ok(Ok(true)), "{way:?}");
                } else {
                    assert!(is_kernel(&made, Step::Remove, Errno::PERM), "{way:?}: {made:?}");
                }
                assert_eq!(snapshot(folder.path()), before, "{way:?}");
            }
        }
        let (_listener, file) =
            SocketFile::options(path.as_os_str().as_bytes()).listener().unwrap();
        assert_eq!(file.remove(), Ok(true));
        assert_eq!(snapshot(folder.path()), []);
    });
}

/// Nor do other users' files get a name there that they could not take, or keep who needs no other name.
#[test]
fn in_a_sticky_folder_others_get_no_name_by_way_of_the_other_one() {
    const TEST: &str = "directories::in_a_sticky_folder_others_get_no_name_by_way_of_the_other_one";
    let _watchdog = crate::common::Watchdog::new();
    passes_as_root(TEST, || {
        for is_live in [false, true] {
            let folder = folder_of(0, 0o1777);
            let (path, left_over) = (folder.join("control"), folder.join(".control.afunix"));
            let options = SocketFile::options(path.as_os_str().as_bytes());
            let _live = {
                let _other = As::new(1000, 1000, &[]);
                if !is_live {
                    std::fs::write(&left_over, "another's").unwrap();
                }
                is_live.then(|| std::os::unix::net::UnixListener::bind(&left_over).unwrap())
            };
            let before = snapshot(folder.path());
            {
                let _nobody = nobody();
                let (_listener, file) = options.listener().unwrap();
                assert_eq!(options.listener().unwrap_err(), SocketFileError::InUse);
                assert_eq!(file.remove(), Ok(true));
                assert_eq!(snapshot(folder.path()), before);
            }
            close(std::os::unix::net::UnixListener::bind(&path).unwrap());
            // As root, who may do all.
            let (_listener, file) = options.reclaim().listener().unwrap();
            assert_eq!(file.remove(), Ok(true));
            assert!(is_live || snapshot(folder.path()) == before);
        }
    });
}

//! Folders that give each file in them an access control list: acl(5).

use std::ffi::{CStr, CString};
use std::path::Path;

use afunix::{Errno, Gid, SocketFileError};

use crate::common::emulated::{TRACE, left_out_by_qemu};
use crate::common::{TempDir, addr, skip};
use crate::instants::states;
use crate::made::{Made, Way, chmod, mode, owned, set_umask};
use crate::others::{As, passes_as_root};

for_data!(
    a_default_acl_leaves_the_mode_exact
    without_a_mode_a_default_acl_and_the_umask_both_take_away
    a_named_user_may_connect_as_the_groups_part_of_the_mode_has_it
    under_a_default_acl_no_instant_is_wider
    a_folder_that_a_named_user_may_write_is_refused
);

const NAMED: u32 = 3000;

/// An entry: its tag, what it permits, and whom it names.
type Entry = (u16, u16, u32);

const NOBODY: u32 = u32::MAX;
const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;

/// All is permitted to all.
const WIDE: [Entry; 5] = [
    (OWNER, 7, NOBODY),
    (USER, 7, NAMED),
    (GROUP, 7, NOBODY),
    (MASK, 7, NOBODY),
    (OTHERS, 7, NOBODY),
];

/// One user is named, and nobody else but the owner permitted anything.
const NAMES_ONE: [Entry; 5] = [
    (OWNER, 7, NOBODY),
    (USER, 7, NAMED),
    (GROUP, 0, NOBODY),
    (MASK, 7, NOBODY),
    (OTHERS, 0, NOBODY),
];

/// Even the owner may read alone.
const NARROW: [Entry; 5] = [
    (OWNER, 4, NOBODY),
    (USER, 7, NAMED),
    (GROUP, 0, NOBODY),
    (MASK, 4, NOBODY),
    (OTHERS, 0, NOBODY),
];

fn set_default_acl(folder: &Path, entries: &[Entry]) -> std::io::Result<()> {
    set_acl(folder, c"system.posix_acl_default", entries)
}

/// Sets an ACL in the kernel's format of today: its version, and the entries.
fn set_acl(folder: &Path, name: &CStr, entries: &[Entry]) -> std::io::Result<()> {
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        acl.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        acl.extend(id.to_le_bytes());
    }
    let path = CString::new(folder.to_str().unwrap()).unwrap();
    // SAFETY: two C strings, and as many bytes as it says.
    let done =
        unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), acl.as_ptr().cast(), acl.len(), 0) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Runs `body` in a child, with a folder in which anybody may look.
fn with_folder(test: &str, body: impl FnOnce(&TempDir)) {
    passes_as_root(test, || {
        let folder = TempDir::new();
        chmod(folder.path(), 0o755);
        match set_default_acl(folder.path(), &WIDE) {
            Ok(()) => body(&folder),
            Err(error) => skip(format_args!(
                "there are no ACLs at {folder:?}: {error}",
                folder = folder.path()
            )),
        }
    });
}

fn a_default_acl_leaves_the_mode_exact<T: Made>(test: &str) {
    with_folder(test, |folder| {
        let path = folder.join("control");
        for acl in [WIDE, NAMES_ONE, NARROW] {
            set_default_acl(folder.path(), &acl).unwrap();
            for umask in [0, 0o077] {
                set_umask(umask);
                // A third of them has each bit with and without each other.
                for wanted in (0..=0o777).step_by(3) {
                    for way in Way::ALL {
                        let (_socket, file) = T::make(way.options(&path).mode(wanted)).unwrap();
                        assert_eq!(mode(&path), wanted, "{way:?} under {umask:03o}");
                        assert_eq!(file.remove(), Ok(true));
                    }
                }
                let options = Way::Plain.options(&path).mode(0o660).group(Gid::from_raw(7));
                let (_socket, file) = T::make(options).unwrap();
                assert_eq!(owned(&path), (0, 7, 0o660));
                assert_eq!(file.remove(), Ok(true));
            }
        }
    });
}

/// See "A mode given before the bind" in `kernel.md`.
fn without_a_mode_a_default_acl_and_the_umask_both_take_away<T: Made>(test: &str) {
    with_folder(test, |folder| {
        let path = folder.join("control");
        for umask in [0, 0o077] {
            set_umask(umask);
            for (acl, expected) in [(WIDE, 0o777), (NAMES_ONE, 0o770), (NARROW, 0o440)] {
                set_default_acl(folder.path(), &acl).unwrap();
                let (_socket, file) = T::make(Way::Plain.options(&path)).unwrap();
                assert_eq!(mode(&path), expected & !umask, "under {umask:03o}");
                assert_eq!(file.remove(), Ok(true));
            }
        }
    });
}

fn a_named_user_may_connect_as_the_groups_part_of_the_mode_has_it<T: Made>(test: &str) {
    with_folder(test, |folder| {
        let path = folder.join("control");
        for (acl, way) in [NAMES_ONE, NARROW].iter().flat_map(|acl| Way::ALL.map(|way| (acl, way)))
        {
            set_default_acl(folder.path(), acl).unwrap();
            for (wanted, named, group, other) in [
                (0o600, false, false, false),
                (0o640, false, false, false),
                // The group itself has an entry of its own, which permits nothing.
                (0o660, true, false, false),
                (0o620, true, false, false),
                (0o662, true, false, true),
            ] {
                let (_socket, _file) = T::make(way.options(&path).mode(wanted)).unwrap();
                for (uid, gid, may) in [(NAMED, 1, named), (3001, 0, group), (3001, 1, other)] {
                    let _caller = As::new(uid, gid, &[]);
                    let expected = if may { Ok(()) } else { Err(Errno::ACCESS) };
                    assert_eq!(T::reach(&addr(&path)), expected, "{way:?} {wanted:03o} {uid}");
                }
                std::fs::remove_file(&path).unwrap();
            }
        }
    });
}

fn under_a_default_acl_no_instant_is_wider<T: Made>(test: &str) {
    with_folder(test, |folder| {
        if left_out_by_qemu(TRACE) {
            return;
        }
        let path = folder.join("control");
        for (acl, way) in [WIDE, NARROW].iter().flat_map(|acl| Way::ALL.map(|way| (acl, way))) {
            set_default_acl(folder.path(), acl).unwrap();
            for (umask, wanted) in [(0, 0o600), (0, 0o660), (0o077, 0o600), (0o077, 0o662)] {
                set_umask(umask);
                for group in [None, Some(Gid::from_raw(7))] {
                    let mut options = way.options(&path).mode(wanted);
                    if let Some(group) = group {
                        options = options.group(group);
                    }
                    let states = states::<T>(folder, || T::make(options).is_ok());
                    let case = format!("{way:?} {wanted:03o} under {umask:03o}: {states:x?}");
                    assert!(states.iter().all(|state| state.mode & !wanted == 0), "{case}");
                    let last = states.last().unwrap();
                    assert_eq!((last.is_final, last.mode), (true, wanted), "{case}");
                    // One that permits less is overruled before the file has its name, if need be.
                    let published = states.iter().filter(|state| state.is_final);
                    let early = published.filter(|state| state.mode != wanted).count();
                    assert!(early == 0 || !way.is_hidden(), "{case}");
                    let given = states.iter().filter(|state| state.owner != last.owner);
                    assert!(given.fold(0, |all, state| all | state.mode) & 0o077 == 0, "{case}");
                    std::fs::remove_file(&path).unwrap();
                }
            }
        }
    });
}

/// The mask stands where the group's part of the mode is.
fn a_folder_that_a_named_user_may_write_is_refused<T: Made>(test: &str) {
    with_folder(test, |folder| {
        let path = folder.join("control");
        for (permissions, folder_mode) in [(7, 0o770), (3, 0o730), (5, 0o750)] {
            let mut acl = NAMES_ONE;
            acl[3].1 = permissions;
            set_acl(folder.path(), c"system.posix_acl_access", &acl).unwrap();
            assert_eq!(mode(folder.path()), folder_mode);
            for way in Way::ALL {
                let made = T::make(way.options(&path)).map(|(_, file)| file.remove());
                if folder_mode & 0o022 == 0 {
                    assert_eq!(made, Ok(Ok(true)));
                } else {
                    let is = |error| matches!(error, SocketFileError::Insecure { mode, .. } if mode == folder_mode);
                    assert!(made.is_err_and(is), "{way:?}");
                }
            }
        }
    });
}

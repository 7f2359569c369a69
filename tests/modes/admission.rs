//! Who may connect and send: whoever may write to the file, and search the folders on the way.

use afunix::{Errno, FileAddr, Gid, SocketFileError, Step, Uid};

use crate::common::addr;
use crate::made::{Made, Way, chmod, chown, folder_of, is_kernel, reach_opened};
use crate::others::{As, passes_as_root};

for_data!(
    write_permission_alone_admits_to_each_mode
    search_permission_on_each_folder_takes_more_than_the_file_s
    root_is_admitted_everywhere
);

const OWNER: u32 = 1000;
const GROUP: u32 = 2000;

/// Uid, gid, other groups, and the bit that counts for them.
const CALLERS: [(u32, u32, &[u32], u32); 5] = [
    (OWNER, 9, &[], 0o200),
    // It is the owner's part that counts, were the group's wider.
    (OWNER, GROUP, &[GROUP], 0o200),
    (3000, GROUP, &[], 0o020),
    (3001, 9, &[7, GROUP], 0o020),
    (65534, 65534, &[], 0o002),
];

/// See "Write permission on the file admits, and is checked first" in `kernel.md`.
fn write_permission_alone_admits_to_each_mode<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = folder_of(0, 0o711);
        // Not all at once: there may be few descriptors.
        for first in (0..=0o777).step_by(64) {
            let made: Vec<_> = (first..first + 64)
                .map(|mode| {
                    let path = folder.join(format!("{mode:03o}"));
                    let options = Way::Plain.options(&path).mode(mode);
                    let (owner, group) = (Uid::from_raw(OWNER), Gid::from_raw(GROUP));
                    let (socket, file) = T::make(options.owner(owner).group(group)).unwrap();
                    (mode, path.clone(), socket, file)
                })
                .collect();
            for (uid, gid, groups, bit) in CALLERS {
                let _caller = As::new(uid, gid, groups);
                for (mode, path, ..) in &made {
                    let may = mode & bit != 0;
                    let expected = if may { Ok(()) } else { Err(Errno::ACCESS) };
                    let case = format!("{mode:03o} as {uid}, {gid} {groups:?}");
                    assert_eq!(T::reach(&addr(path)), expected, "{case}");
                    // To open it takes nothing, so that the answer is that of `connect`.
                    assert_eq!(reach_opened::<T>(path), expected, "{case}");
                    let by_path = T::connect_path(path.to_str().unwrap().as_bytes());
                    assert_eq!(by_path.map_err(SocketFileError::errno), expected, "{case}");
                    if !may {
                        assert!(is_kernel(&by_path, Step::Connect, Errno::ACCESS), "{case}");
                    }
                }
            }
            made.iter().for_each(|(.., file)| assert_eq!(file.remove(), Ok(true)));
        }
    });
}

fn search_permission_on_each_folder_takes_more_than_the_file_s<T: Made>(test: &str) {
    passes_as_root(test, || {
        let outer = folder_of(0, 0o755);
        let inner = outer.join("inner");
        std::fs::create_dir(&inner).unwrap();
        chown(&inner, OWNER, GROUP);
        let path = inner.join("control");
        for wanted in [0o666, 0o600] {
            let options = Way::Plain.options(&path).mode(wanted).any_directory();
            let (_socket, file) = T::make(options).unwrap();
            for (closed, mode, search) in [
                (&inner, 0o711, [true, true, true]),
                (&inner, 0o700, [true, false, false]),
                (&inner, 0o644, [false, false, false]),
                (&inner, 0o766, [true, false, false]),
                (&inner, 0o710, [true, true, false]),
                (&inner, 0o071, [false, true, true]),
                (&inner, 0o111, [true, true, true]),
                (&outer.path().to_owned(), 0o700, [false, false, false]),
                (&outer.path().to_owned(), 0o711, [true, true, true]),
            ] {
                chmod(outer.path(), 0o755);
                chmod(&inner, 0o755);
                chmod(closed, mode);
                for ((uid, gid), may_search) in
                    [(OWNER, 9), (3000, GROUP), (65534, 9)].into_iter().zip(search)
                {
                    let _caller = As::new(uid, gid, &[]);
                    let case = format!("{wanted:03o} in {mode:03o} as {uid}");
                    let may = may_search && wanted == 0o666;
                    let expected = if may { Ok(()) } else { Err(Errno::ACCESS) };
                    assert_eq!(T::reach(&addr(&path)), expected, "{case}");
                    let opened = FileAddr::open(path.to_str().unwrap().as_bytes());
                    if may_search {
                        assert_eq!(T::reach(opened.unwrap().addr()), expected, "{case}");
                    } else {
                        assert!(is_kernel(&opened, Step::Look, Errno::ACCESS), "{case}");
                    }
                }
            }
            chmod(outer.path(), 0o755);
            assert_eq!(file.remove(), Ok(true));
        }
    });
}

fn root_is_admitted_everywhere<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = folder_of(OWNER, 0);
        let path = folder.join("control");
        let options = Way::Plain.options(&path).mode(0).owner(Uid::from_raw(OWNER));
        let (_socket, file) = T::make(options.any_directory()).unwrap();
        assert_eq!(T::reach(&addr(&path)), Ok(()));
        assert_eq!(reach_opened::<T>(&path), Ok(()));
        assert_eq!(file.is_in_place(), Ok(true));
        // The same calls of the owner, who is no root.
        let owner = As::new(OWNER, OWNER, &[]);
        assert_eq!(T::reach(&addr(&path)), Err(Errno::ACCESS));
        assert!(is_kernel(&file.is_in_place(), Step::Look, Errno::ACCESS));
        drop(owner);
        assert_eq!(file.remove(), Ok(true));
    });
}

//! The whole life of a socket's file, of a process that is nobody in particular.

use afunix::SocketFileError;

use crate::common::{Nobody, addr, close, snapshot};
use crate::made::{Made, Way, folder_of, leave_stale, local_addr, owned, set_umask};
use crate::others::{nobody, passes_as_root};

for_data!(a_whole_life_takes_no_privilege);

fn a_whole_life_takes_no_privilege<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = folder_of(Nobody::UID, 0o700);
        let path = folder.join("control");
        let target = addr(&path);
        let _nobody = nobody();
        for umask in [0, 0o077, 0o777] {
            set_umask(umask);
            for wanted in [0o600, 0o660, 0o222] {
                let options = |way: Way| way.options(&path).mode(wanted);
                let expected = (Nobody::UID, Nobody::UID, wanted);

                let (first, file) = T::make(options(Way::Plain)).unwrap();
                assert_eq!((owned(&path), T::reach(&target)), (expected, Ok(())));
                let made = T::make(options(Way::Reclaim)).unwrap_err();
                assert_eq!(made, SocketFileError::InUse);
                close((first, file));

                // It ended without a word.
                let (second, old) = T::make(options(Way::Reclaim)).unwrap();
                assert_eq!((owned(&path), T::reach(&target)), (expected, Ok(())));

                let (third, file) = T::make(options(Way::Replace)).unwrap();
                assert_ne!(local_addr(&third), target);
                assert_eq!((owned(&path), T::reach(&target)), (expected, Ok(())));
                assert_eq!((old.is_in_place(), old.remove()), (Ok(false), Ok(false)));
                assert_eq!((file.is_in_place(), file.remove()), (Ok(true), Ok(true)));
                assert_eq!(snapshot(folder.path()), []);
                close((second, third));

                let (fourth, file) = T::make(options(Way::PublishReady).remove_on_drop()).unwrap();
                assert_eq!((owned(&path), T::reach(&target)), (expected, Ok(())));
                drop(file);
                assert_eq!(snapshot(folder.path()), []);
                close(fourth);

                // What a killed one left at both names.
                leave_stale::<T>(&path, 0o600);
                leave_stale::<T>(&folder.join(".control.afunix"), 0o600);
                let (_fifth, file) = T::make(options(Way::Reclaim)).unwrap();
                assert_eq!((owned(&path), file.remove()), (expected, Ok(true)));
                assert_eq!(snapshot(folder.path()), []);
            }
        }
    });
}

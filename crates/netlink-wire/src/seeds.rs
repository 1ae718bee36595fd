//! The seeds of fuzz targets, replayed by ordinary tests (feature `fuzz`).
//!
//! This changes with the crate and follows no version.

use std::path::Path;
use std::{fs, io};

/// Runs every file of a folder through a fuzz target, whole and [damaged](damage) at up to `places` places. Returns how
/// many files there are.
///
/// # Errors
/// If the folder or a file cannot be read.
pub fn replay(
    folder: impl AsRef<Path>,
    places: usize,
    mut target: impl FnMut(&[u8]),
) -> io::Result<usize> {
    let mut seeds = 0;
    for file in fs::read_dir(folder)? {
        damage(&fs::read(file?.path())?, places, &mut target);
        seeds += 1;
    }
    Ok(seeds)
}

/// Runs a seed through a fuzz target: whole, and at up to `places` places, evenly spread, cut off and with the byte there
/// changed to 0, to 255, by its lowest bit and by its highest.
pub fn damage(seed: &[u8], places: usize, mut target: impl FnMut(&[u8])) {
    target(seed);
    let mut damaged = seed.to_vec();
    let step = seed.len().div_ceil(places.max(1)).max(1);
    for (at, &byte) in seed.iter().enumerate().step_by(step) {
        target(seed.get(..at).unwrap_or_default());
        for value in [0, 0xff, byte ^ 1, byte ^ 0x80] {
            if let Some(place) = damaged.get_mut(at) {
                *place = value;
            }
            target(&damaged);
        }
        if let Some(place) = damaged.get_mut(at) {
            *place = byte;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn runs(seed: &[u8], places: usize) -> Vec<Vec<u8>> {
        let mut runs = Vec::new();
        damage(seed, places, |bytes| runs.push(bytes.to_vec()));
        runs
    }

    #[test]
    fn a_seed_runs_whole_cut_off_and_with_bytes_changed() {
        let expected: [&[u8]; 11] = [
            &[1, 2],
            &[],
            &[0, 2],
            &[255, 2],
            &[0, 2],
            &[129, 2],
            &[1],
            &[1, 0],
            &[1, 255],
            &[1, 3],
            &[1, 130],
        ];
        assert_eq!(runs(&[1, 2], usize::MAX), expected);
        assert_eq!(runs(&[], 8), vec![Vec::<u8>::new()]);
    }

    #[test]
    fn places_are_few_and_spread() {
        let cuts = |places| {
            let runs = runs(&[7; 100], places).into_iter();
            runs.map(|run| run.len()).filter(|length| *length < 100)
        };
        assert_eq!(cuts(4).collect::<Vec<_>>(), [0, 25, 50, 75]);
        assert_eq!(cuts(100).count(), 100);
        assert_eq!(cuts(0).count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = replay("/nowhere/at/all", 1, |_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let files = replay(concat!(env!("CARGO_MANIFEST_DIR"), "/src"), 1, |_| ()).unwrap();
        assert!(files > 5);
    }
}

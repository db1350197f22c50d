//! A file's content by pages: what was never written takes no room, and what two contents have alike they may share.

use std::ops::Range;
use std::sync::Arc;

const PAGE: usize = 4096;

/// As a `Vec<u8>` of that length.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    length: usize,
    /// Zeros where there is no page, and behind the end.
    pages: Vec<Option<Arc<[u8; PAGE]>>>,
}

impl From<&[u8]> for Pages {
    fn from(bytes: &[u8]) -> Pages {
        let mut pages = Pages::default();
        pages.write(0, bytes);
        pages
    }
}

impl Pages {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Cuts it, or makes it longer with zeros.
    pub(super) fn resize(&mut self, length: usize) {
        let cut = length..self.length;
        self.length = length;
        if !cut.is_empty() {
            self.pages.truncate(length.div_ceil(PAGE));
            self.clear(length..length.next_multiple_of(PAGE).min(cut.end));
        }
        self.pages.resize(length.div_ceil(PAGE), None);
    }

    /// What is there, up to the end.
    pub(super) fn read(&self, range: Range<usize>) -> Vec<u8> {
        let range = range.start.min(self.length)..range.end.min(self.length);
        let mut bytes = vec![0; range.len()];
        self.read_into(range.start, &mut bytes);
        bytes
    }

    /// Fills `bytes` with what is at `offset`; with zeros behind the end.
    pub(super) fn read_into(&self, offset: usize, bytes: &mut [u8]) {
        let mut rest = bytes;
        for (page, within) in pieces(offset..offset + rest.len()) {
            let piece = rest.split_off_mut(..within.len()).expect("the pieces are as long as the whole");
            match self.pages.get(page).and_then(Option::as_ref) {
                Some(page) => piece.copy_from_slice(&page[within]),
                None => piece.fill(0),
            }
        }
    }

    /// Puts `bytes` there; a gap before them is zeros.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.length < end {
            self.resize(end);
        }
        let mut rest = bytes;
        for (page, within) in pieces(offset..end) {
            let (piece, later) = rest.split_at(within.len());
            rest = later;
            self.page(page)[within].copy_from_slice(piece);
        }
    }

    /// Zeros from here to there.
    pub(super) fn clear(&mut self, range: Range<usize>) {
        for (page, within) in pieces(range) {
            if self.pages.get(page).is_some_and(Option::is_some) {
                self.page(page)[within].fill(0);
            }
        }
    }

    /// Turns the bits of `mask` of one byte. Whether there is such a byte.
    pub(super) fn flip(&mut self, at: usize, mask: u8) -> bool {
        let is_there = at < self.length;
        if is_there {
            self.page(at / PAGE)[at % PAGE] ^= mask;
        }
        is_there
    }

    /// Takes from `other`, which is as long, all pages that have a byte of this range.
    pub(super) fn share(&mut self, other: &Pages, range: Range<usize>) {
        for (page, _) in pieces(range.start..range.end.min(self.length)) {
            self.pages[page].clone_from(&other.pages[page]);
        }
    }

    fn page(&mut self, page: usize) -> &mut [u8; PAGE] {
        Arc::make_mut(self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE])))
    }
}

/// The pages of a range of bytes, with what it takes of each.
fn pieces(range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    let Range { mut start, end } = range;
    std::iter::from_fn(move || {
        (start < end).then(|| {
            let page = start / PAGE;
            let until = end.min((page + 1) * PAGE);
            let within = start - page * PAGE..until - page * PAGE;
            start = until;
            (page, within)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Operation {
        Resize(usize),
        Write(usize, Vec<u8>),
        Clear(usize, usize),
        Flip(usize),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let at = 0..4 * PAGE;
        prop_oneof![
            at.clone().prop_map(Operation::Resize),
            (at.clone(), proptest::collection::vec(any::<u8>(), 0..2 * PAGE)).prop_map(|(at, bytes)| Operation::Write(at, bytes)),
            (at.clone(), 0..2 * PAGE).prop_map(|(at, length)| Operation::Clear(at, length)),
            at.prop_map(Operation::Flip),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn they_are_what_a_vec_would_be_and_so_is_what_shares_them(operations in proptest::collection::vec(operation(), 1..20)) {
            let (mut pages, mut shared, mut model) = (Pages::default(), Pages::default(), Vec::new());
            for operation in operations {
                let before = model.clone();
                let touched = match operation {
                    Operation::Resize(length) => {
                        pages.resize(length);
                        model.resize(length, 0);
                        length..before.len().max(length)
                    }
                    Operation::Write(at, bytes) => {
                        pages.write(at, &bytes);
                        model.resize(model.len().max(at + bytes.len()), 0);
                        model[at..at + bytes.len()].copy_from_slice(&bytes);
                        at..at + bytes.len()
                    }
                    Operation::Clear(at, length) => {
                        pages.clear(at..at + length);
                        let end = model.len();
                        model[at.min(end)..(at + length).min(end)].fill(0);
                        at..at + length
                    }
                    Operation::Flip(at) => {
                        prop_assert_eq!(pages.flip(at, 4), at < model.len());
                        model.get_mut(at).into_iter().for_each(|byte| *byte ^= 4);
                        at..at + 1
                    }
                };
                prop_assert_eq!(shared.read(0..usize::MAX), before, "a change has reached what shared its pages");
                shared.resize(pages.len());
                shared.share(&pages, touched);
                prop_assert_eq!(&pages.read(0..usize::MAX), &model);
                prop_assert_eq!(&shared.read(0..usize::MAX), &model);
            }
        }
    }
}

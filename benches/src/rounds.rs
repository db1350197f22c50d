//! Rounds, so that what the machine does meanwhile falls upon all contestants alike.

/// One figure per round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl From<Vec<f64>> for Figures {
    fn from(figures: Vec<f64>) -> Figures {
        Figures(figures)
    }
}

impl Figures {
    /// What does not change from round to round.
    pub(crate) fn constant(figure: f64) -> Figures {
        Figures(vec![figure])
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
    }

    /// The smallest and the largest.
    pub(crate) fn range(&self) -> (f64, f64) {
        self.0.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), figure| (low.min(*figure), high.max(*figure)))
    }
}

/// Runs every contestant once in each round; who begins changes with the round. Gives each one's figures.
///
/// # Errors
/// The first of `run`.
pub(crate) fn take_turns<C>(
    rounds: usize,
    contestants: &[C],
    mut run: impl FnMut(&C) -> Result<f64, String>,
) -> Result<Vec<Figures>, String> {
    let mut figures = vec![Figures::default(); contestants.len()];
    for round in 0..rounds {
        for turn in 0..contestants.len() {
            let at = (round + turn) % contestants.len();
            figures[at].0.push(run(&contestants[at])?);
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_runs_in_every_round_and_nobody_always_begins() {
        let mut order = Vec::new();
        let figures = take_turns(3, &["a", "b", "c"], |name| {
            order.push(*name);
            Ok(order.len() as f64)
        });
        assert_eq!(order, ["a", "b", "c", "b", "c", "a", "c", "a", "b"]);
        assert_eq!(figures.unwrap().iter().map(Figures::median).collect::<Vec<_>>(), [6.0, 4.0, 5.0]);
    }

    #[test]
    fn medians() {
        assert_eq!(Figures(vec![9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Figures(vec![4.0, 1.0, 2.0, 9.0]).median(), 3.0);
        assert_eq!(Figures(vec![4.0, 1.0, 2.0]).range(), (1.0, 4.0));
    }
}

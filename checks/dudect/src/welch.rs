//! Welch's t-test on the times of two classes, whole and cropped.
//!
//! A timer interrupt takes thousands of times longer than a call; it adds variance, and hides a
//! difference of few cycles. So the test is also made on the times below some percentiles. Where to
//! crop is decided from pilot samples of both classes together, before the samples that count, so
//! that the crop does not depend on what is tested. The statistic with the greatest |t| is
//! reported.

/// |t| from which on the classes differ: by chance alone once in 150,000 tests.
pub(crate) const LIMIT: f64 = 4.5;

/// The most conspicuous of the crops.
pub(crate) struct Statistic {
    pub(crate) t: f64,
    /// Percent of the times that were kept.
    pub(crate) kept: u32,
    /// By how many ticks of the clock the second class takes longer.
    pub(crate) difference: f64,
}

/// Takes `samples` samples and tests them. `sample` is given the class and answers with the time.
pub(crate) fn test(samples: usize, sample: &mut dyn FnMut(bool) -> u64) -> Statistic {
    let mut coin = crate::random::Random::new();
    let mut toss = || {
        let class = coin.next() >> 63 == 1;
        (class, sample(class))
    };
    let mut pilot: Vec<_> = (0..samples / 20).map(|_| toss().1).collect();
    pilot.sort_unstable();
    let below = |percent: u32| pilot.get(pilot.len() * percent as usize / 100);
    let crops = KEPT.map(|percent| below(percent).copied().unwrap_or(u64::MAX));

    let mut classes = [[Moments::default(); 2]; KEPT.len()];
    for _ in 0..samples {
        let (class, time) = toss();
        for (moments, crop) in classes.iter_mut().zip(crops) {
            if time <= crop {
                #[expect(clippy::cast_precision_loss, reason = "times are far below 2^52 ticks")]
                moments[usize::from(class)].add(time as f64);
            }
        }
    }
    let statistics = classes.iter().zip(KEPT).map(|(moments, kept)| statistic(moments, kept));
    statistics.max_by(|a, b| a.t.abs().total_cmp(&b.t.abs())).expect("there are crops")
}

fn statistic([first, second]: &[Moments; 2], kept: u32) -> Statistic {
    let difference = second.mean - first.mean;
    let error = (first.variance() / first.count + second.variance() / second.count).sqrt();
    // Times that are all alike do not differ.
    let t = if difference == 0.0 { 0.0 } else { difference / error };
    Statistic { t, kept, difference }
}

/// Number, mean and spread of times, one at a time (B. P. Welford, 1962).
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, time: f64) {
        self.count += 1.0;
        let from_old = time - self.mean;
        self.mean += from_old / self.count;
        self.squares += from_old * (time - self.mean);
    }

    fn variance(&self) -> f64 {
        self.squares / (self.count - 1.0)
    }
}

/// Percent of the times that each crop keeps.
const KEPT: [u32; 5] = [100, 99, 95, 80, 50];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_example() {
        // Two small samples with means 3 and 5 and variances 2.5 and 10.
        let mut moments = [Moments::default(); 2];
        for step in [0.0, 1.0, 2.0, 3.0, 4.0] {
            moments[0].add(1.0 + step);
            moments[1].add(1.0 + 2.0 * step);
        }
        let statistic = statistic(&moments, 100);
        assert!((statistic.difference - 2.0).abs() < 1e-12);
        assert!((statistic.t - 2.0 / 2.5_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_difference_is_seen_and_noise_is_not() {
        let mut random = crate::random::Random::new();
        let mut noise = move || 100 + random.next() % 32;
        assert!(test(50_000, &mut |_| noise()).t.abs() < 6.0);
        // 24 on average, give or take 1.
        assert!(test(50_000, &mut |class| noise() + 2 * u64::from(class)).t > 10.0);
    }
}

//! The minimum of a function of one variable within bounds: Brent, "Algorithms for Minimization
//! Without Derivatives" (1973), chapter 5, as SciPy's `fminbound` steps.

/// Most calls of the function.
const MAX_CALLS: usize = 500;

/// Where `f` is least between `low` and `high`, within `tolerance`. What is NaN counts as large.
pub(super) fn minimum(mut low: f64, mut high: f64, tolerance: f64, f: impl Fn(f64) -> f64) -> f64 {
    let f = |x: f64| {
        let value = f(x);
        if value.is_nan() { f64::INFINITY } else { value }
    };
    let golden = 0.5 * (3.0 - 5f64.sqrt());
    let small = f64::EPSILON.sqrt();
    let side = |value: f64| if value < 0.0 { -1.0 } else { 1.0 };
    // The best three places with their values: best, second and third.
    let mut best = low + golden * (high - low);
    let (mut second, mut third) = (best, best);
    let mut at_best = f(best);
    let (mut at_second, mut at_third) = (at_best, at_best);
    let (mut step, mut before) = (0.0, 0.0);
    for _ in 1..MAX_CALLS {
        let middle = 0.5 * (low + high);
        let near = small * best.abs() + tolerance / 3.0;
        if (best - middle).abs() <= 2.0 * near - 0.5 * (high - low) {
            break;
        }
        let mut parabolic = false;
        if f64::abs(before) > near {
            let r = (best - second) * (at_best - at_third);
            let q = (best - third) * (at_best - at_second);
            let p = (best - third) * q - (best - second) * r;
            let q = 2.0 * (q - r);
            let (p, q) = (if q > 0.0 { -p } else { p }, q.abs());
            let last = before;
            before = step;
            if p.abs() < (0.5 * q * last).abs() && p > q * (low - best) && p < q * (high - best) {
                parabolic = true;
                step = p / q;
                let x = best + step;
                if x - low < 2.0 * near || high - x < 2.0 * near {
                    step = near * side(middle - best);
                }
            }
        }
        if !parabolic {
            before = if best >= middle {
                low - best
            } else {
                high - best
            };
            step = golden * before;
        }
        let x = best + side(step) * step.abs().max(near);
        let at_x = f(x);
        if at_x <= at_best {
            if x >= best {
                low = best;
            } else {
                high = best;
            }
            (third, at_third) = (second, at_second);
            (second, at_second) = (best, at_best);
            (best, at_best) = (x, at_x);
        } else {
            if x < best {
                low = x;
            } else {
                high = x;
            }
            if at_x <= at_second || second == best {
                (third, at_third) = (second, at_second);
                (second, at_second) = (x, at_x);
            } else if at_x <= at_third || third == best || third == second {
                (third, at_third) = (x, at_x);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_minima() {
        for at in [-3.0, 0.0, 0.7, 9.9] {
            let found = minimum(-5.0, 10.0, 1e-8, |x| (x - at) * (x - at) + 1.0);
            assert!((found - at).abs() < 1e-6, "{found}");
        }
        // At a bound, and where the function is no number beyond a place.
        assert!(minimum(2.0, 3.0, 1e-8, |x| x) - 2.0 < 1e-6);
        assert!((minimum(-9.0, 9.0, 1e-8, |x| x.sqrt() - x) - 9.0).abs() < 1e-6);
    }
}

//! Days since 1970 to dates (Howard Hinnant, "chrono-compatible low-level date algorithms").

/// Year, month (1 to 12) and day (1 to 31) of the proleptic Gregorian calendar.
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    const DAYS_PER_ERA: i64 = 146_097;
    let shifted = days + 719_468;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * from_march + 2) / 5 + 1) as u32;
    let month = (if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    }) as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// 1 for the first of January.
pub(crate) fn day_of_year(days: i64) -> u32 {
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let (year, month, day) = civil(days);
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let before = BEFORE
        .get(month.wrapping_sub(1) as usize)
        .copied()
        .unwrap_or(0);
    before + day + u32::from(leap && month > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(15_706), (2013, 1, 1));
        assert_eq!(day_of_year(15_706), 1);
        assert_eq!(day_of_year(15_705), 366);
        assert_eq!(day_of_year(11_017), 61);
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = civil(-200_000);
        for day in -199_999..200_000 {
            let date = civil(day);
            let next = date == (last.0, last.1, last.2 + 1)
                || date == (last.0, last.1 + 1, 1)
                || date == (last.0 + 1, 1, 1);
            assert!(next, "{last:?} then {date:?}");
            last = date;
        }
    }
}

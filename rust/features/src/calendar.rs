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
    let before = BEFORE
        .get(month.wrapping_sub(1) as usize)
        .copied()
        .unwrap_or(0);
    before + day + u32::from(leap(year) && month > 2)
}

/// Has the year a 29th of February?
pub(crate) const fn leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// How many days a month (1 to 12) has.
pub(crate) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Monday is 0.
pub(crate) const fn weekday(days: i64) -> i64 {
    // 1970 began on a Thursday.
    (days + 3).rem_euclid(7)
}

/// The year and week of ISO 8601: those of the week's Thursday.
pub(crate) fn iso_week(days: i64) -> (i64, u32) {
    let thursday = days - weekday(days) + 3;
    (civil(thursday).0, (day_of_year(thursday) - 1) / 7 + 1)
}

/// Days since 1970 of a date, `2013-12-25`.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
        return None;
    }
    let (year, month, day): (i64, u32, u32) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    // Counted from March, so that a leap day is the last of its year.
    let from_march = i64::from((month + 9) % 12);
    let year = year - i64::from(month <= 2);
    let of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leaps + of_year - 719_468)
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
    fn weeks_and_texts() {
        assert_eq!(iso_week(15_706), (2013, 1));
        assert_eq!(iso_week(-1), (1970, 1));
        // The first of January 2016 lies in the last week of 2015.
        assert_eq!(iso_week(16_801), (2015, 53));
        assert_eq!((days_in_month(2000, 2), days_in_month(1900, 2)), (29, 28));
        for day in (-300_000..300_000).step_by(37) {
            let (year, month, of_month) = civil(day);
            assert_eq!(
                parse(&format!("{year:04}-{month:02}-{of_month:02}")),
                Some(day)
            );
        }
        for wrong in [
            "",
            "2013",
            "2013-2-3",
            "2013-02-29",
            "2013-13-01",
            "-013-01-01",
            "2013-01-01T00:00",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
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

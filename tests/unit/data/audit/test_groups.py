from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medexp.data.audit.groups import identity

SPLITS = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
NAMES_OF_PATIENTS = (
    "patientid", "PATIENTID", "patientId", "PatientID", "patient id", "Patient-No.", "PATIENT_NR", "patientnumber",
    "subjectid", "caseid", "studyid", "study_uid", "StudyInstanceUID", "studyinstanceuid", "accessionNumber",
    "slideKey", "PatientCode", "patients_id", "id_patient", "ptid", "image_patient_id", "patient_image",
    "lineage_animal", "image_patient", "stage_patient_id", "patient1",
)  # fmt: skip
NAMES_OF_OTHER_THINGS = (
    "patientage", "PatientAge", "PATIENTAGE", "patient_ages", "study_date", "StudyDate", "studydate",
    "number_of_lesions", "patient_number_of_visits", "lesion_count", "patient_sex_code", "sample_type_id",
    "birthdate_of_patient", "inpatient", "examiner", "image", "lineage", "no_of_patients",
    "case_control",
)  # fmt: skip


def kinds(report: Any) -> dict[str, Any]:
    return {finding.kind: finding for finding in report.findings}


def test_a_patient_in_two_splits_is_refused_and_named(scans: np.ndarray, make: Any, audited: Any) -> None:
    groups = [f"p{i // 2}" for i in range(59)] + ["p0"]
    report = audited(make(scans, np.arange(60) % 2, SPLITS, groups=groups))
    (instance,) = kinds(report)["group_in_two_splits"].instances
    assert instance.tokens == ("p0",)
    assert dict(instance.numbers) == {"train": 2, "test": 1}
    assert instance in report.refused


def test_patients_that_stay_in_their_split_are_as_they_should_be(scans: np.ndarray, make: Any, audited: Any) -> None:
    report = audited(make(scans, np.arange(60) % 2, SPLITS, groups=[f"p{i // 2}" for i in range(60)]))
    assert "group_in_two_splits" not in kinds(report)


def test_a_patient_column_that_the_groups_ignore_is_found_though_there_are_groups(
    scans: np.ndarray, make: Any, audited: Any
) -> None:
    studies, patients = [f"s{i}" for i in range(60)], [f"p{i % 12}" for i in range(60)]
    report = audited(make(scans, np.arange(60) % 2, SPLITS, groups=studies, metadata={"PatientID": patients}))
    (instance,) = kinds(report)["ungrouped_identity"].instances
    assert instance.tokens == ("PatientID",)


def test_a_column_that_says_the_same_as_the_groups_is_reported_once(scans: np.ndarray, make: Any, audited: Any) -> None:
    groups = [f"p{i // 2}" for i in range(59)] + ["p0"]
    report = audited(make(scans, np.arange(60) % 2, SPLITS, groups=groups, metadata={"patient": groups}))
    assert "ungrouped_identity" not in kinds(report)


def test_a_patient_column_that_results_do_not_keep_is_found_and_its_values_are_not_told(
    scans: np.ndarray, make: Any, audited: Any
) -> None:
    patients = [f"secret{i % 12}" for i in range(60)]
    report = audited(make(scans, np.arange(60) % 2, SPLITS, hidden={"PatientID": patients}))
    (instance,) = kinds(report)["ungrouped_identity"].instances
    assert instance.tokens == ("PatientID",)
    assert "12 of 12 values" in instance.text
    assert "secret" not in str(report.to_json())


def test_a_column_that_results_do_not_keep_is_not_asked_whether_it_tells_the_class(
    scans: np.ndarray, make: Any, audited: Any
) -> None:
    ward = ["ab"[i % 2] for i in range(60)]
    labels = np.arange(60) % 2
    assert "metadata_predicts_class" in kinds(audited(make(scans, labels, SPLITS, metadata={"ward": ward})))
    assert "metadata_predicts_class" not in kinds(audited(make(scans, labels, SPLITS, hidden={"ward": ward})))


def test_missing_patients_are_not_one_patient(scans: np.ndarray, make: Any, audited: Any) -> None:
    patients = [f"p{i // 2}" for i in range(20)] + [""] * 40
    report = audited(make(scans, np.arange(60) % 2, SPLITS, metadata={"patient": patients}))
    assert "ungrouped_identity" not in kinds(report)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("patient_id", [str(i // 3) for i in range(90)], "refuse"),
        ("SubjectID", [f"s{i // 3}" for i in range(90)], "refuse"),
        ("smear", [f"s{i // 3}" for i in range(90)], "refuse"),
        ("case no", [f"s{i // 3}" for i in range(90)], "refuse"),
        ("who", [f"s{i // 3}" for i in range(90)], "warn"),
        ("who", [f"s{i}" for i in range(90)], None),
        ("patient_age", [str(20 + i // 3) for i in range(90)], None),
        ("age", [str(20 + i // 3) for i in range(90)], None),
        ("weight", [f"{50 + i // 3}.5" for i in range(90)], None),
        ("site", ["A", "B", "C"] * 30, None),
        ("sample_type", ["A", "B", "C"] * 30, None),
        *((name, [str(i // 3) for i in range(90)], "refuse") for name in NAMES_OF_PATIENTS),
        *((name, [str(i // 3) for i in range(90)], None) for name in NAMES_OF_OTHER_THINGS),
        ("patient_timepoint", ["first", "second", "third"] * 30, None),
        ("lesion_location", ["arm", "leg", "back"] * 30, None),
        ("study", ["one trial"] * 80 + ["another"] * 10, None),
        ("patient", [""] * 90, None),
    ],
)
def test_what_names_a_patient(name: str, values: list[str], expected: str | None) -> None:
    assert identity(name, values) == expected

def test_an_unknown_output_is_refused_with_the_nearest_name(run, tmp_path):
    done = run("predict", "--model", "m", "--images", "i", "--out", tmp_path / "o", "--outputs", "labels", "geo")
    assert done.status == 2
    assert "There is no output called 'geo'." in done.err
    assert "Known: dicom-seg, geojson, labels, nifti, overlay, png, rois, table, zarr." in done.err
    assert not (tmp_path / "o").exists()

import cloudtik

cloudtik.main()

from sep_stand_in import main

main("journal")

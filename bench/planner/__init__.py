"""What an installation of a given size needs: from measured figures and assumptions to pods, disks and ceilings."""

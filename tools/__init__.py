"""What stands behind `./ripcord test` and `./ripcord check`. No part of the product."""
